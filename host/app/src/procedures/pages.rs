//! Lists that clients expect whole, page by page for those that ask for it so.
//!
//! Clients that know nothing of pages get the list alone, as ever. Only where it does not fit does `cursor` stand beside
//! it, so that nobody takes a part for the whole; who names `limit` or `cursor` gets it always, null at the end.

use super::Reply;
use crate::wire::{Arguments, bytes, invalid, opt};
use bourse_store::{Page, Place};
use bourse_wamp::{CallResult, Dict, Value, WampError};

/// Entries on a page at most, and where nothing else is said.
const MAX_LIMIT: u32 = 1000;

/// Which page is asked for.
pub(super) struct Part {
    /// Behind the place where the last one ended.
    pub(super) after: Option<Place>,
    /// Entries at most.
    pub(super) limit: usize,
    /// The caller knows of pages.
    paged: bool,
}

impl Part {
    /// Takes `limit` and `cursor`, which come last among the arguments of a call.
    pub(super) fn parse(arguments: &mut Arguments) -> Result<Self, WampError> {
        let limit = arguments.optional("limit")?;
        let after = arguments.optional("cursor")?;
        let paged = limit.is_some() || after.is_some();
        let limit: u32 = limit.unwrap_or(MAX_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(invalid(
                "limit",
                format_args!("expected 1 to {MAX_LIMIT}, or null for {MAX_LIMIT}, got {limit}"),
            ));
        }
        Ok(Self {
            after,
            limit: limit as usize,
            paged,
        })
    }

    /// The answer, each entry spelled by `spell`.
    pub(super) fn reply<R>(&self, page: &Page<R>, spell: impl Fn(&R) -> Value) -> Reply {
        let mut kwargs = Dict::new();
        if self.paged || page.next.is_some() {
            let next = opt(page.next, |place| bytes(place.to_bytes()));
            kwargs.insert("cursor".to_owned(), next);
        }
        Ok(CallResult {
            args: vec![Value::List(page.found.iter().map(spell).collect())],
            kwargs,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;
    use bourse_market::{Nanos, OfferId};

    fn kwargs(paged: bool, next: Option<Place>) -> Dict {
        let part = Part {
            after: None,
            limit: 1000,
            paged,
        };
        let page = Page {
            found: vec![7u64],
            next,
        };
        let answer = part.reply(&page, |number| Value::from(*number)).unwrap();
        assert_eq!(answer.args, [Value::List(vec![Value::from(7u64)])]);
        answer.kwargs
    }

    #[test]
    fn a_list_that_does_not_fit_is_never_taken_for_the_whole_and_one_that_does_has_nothing_beside_it() {
        let place = Place::of_offer(Nanos(1), OfferId([2; 16]));
        let cursor = |value| Dict::from([("cursor".to_owned(), value)]);
        let there = cursor(bytes(place.to_bytes()));
        assert_eq!(kwargs(false, None), Dict::new());
        assert_eq!(kwargs(false, Some(place)), there);
        assert_eq!(kwargs(true, Some(place)), there);
        assert_eq!(kwargs(true, None), cursor(Value::Null));
    }
}
