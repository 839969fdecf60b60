//! The search: every condition leaps to the first place that all of them may hold.

use super::{Page, Place};
use crate::error::StoreError;
use crate::reader::Reader;
use crate::tables::Table;

/// Looks into an index that one page may take, some milliseconds of them: over very many records that ended a page may
/// come back short, or empty, with a place to go on from.
const MAX_LEAPS: u32 = 4096;

/// One list: the part of an index whose keys begin so.
pub(super) struct List<'r> {
    table: &'r Table,
    prefix: Vec<u8>,
    /// What the last look found.
    head: Head,
}

/// The first place of a list at or behind where it was looked at.
#[derive(Clone, Copy)]
enum Head {
    /// It was not looked at.
    Unknown,
    /// This one.
    At(Place),
    /// None is left.
    End,
}

/// One condition of a query: any of these lists holds the record.
pub(super) struct AnyOf<'r>(Vec<List<'r>>);

/// What is searched, and how much of it.
pub(super) struct Span {
    /// From this place on.
    pub(super) first: Place,
    /// Up to this moment, it included.
    pub(super) until: u64,
    /// Behind the place where the last page ended.
    pub(super) after: Option<Place>,
    /// Records at most.
    pub(super) limit: usize,
}

/// What a search came to.
enum Met {
    /// Every condition holds this place.
    At(Place),
    /// No leaps are left; nothing before this place is held by all.
    NotYet(Place),
    /// Nothing more is held by all.
    Nowhere,
}

impl<'r> AnyOf<'r> {
    /// What one list holds.
    pub(super) fn one(table: &'r Table, prefix: Vec<u8>) -> Self {
        Self::lists(table, [prefix])
    }

    /// What any of the lists of `table` with these beginnings holds.
    pub(super) fn lists(table: &'r Table, prefixes: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let list = |prefix| List {
            table,
            prefix,
            head: Head::Unknown,
        };
        Self(prefixes.into_iter().map(list).collect())
    }

    /// The first place, not before `place`, that any of the lists holds.
    fn leap(
        &mut self,
        reader: &Reader<'_>,
        place: Place,
        leaps: &mut u32,
    ) -> Result<Option<Place>, StoreError> {
        let mut first = None;
        for list in &mut self.0 {
            let found = list.leap(reader, place, leaps)?;
            first = [first, found].into_iter().flatten().min();
        }
        Ok(first)
    }
}

impl List<'_> {
    fn leap(
        &mut self,
        reader: &Reader<'_>,
        place: Place,
        leaps: &mut u32,
    ) -> Result<Option<Place>, StoreError> {
        match self.head {
            Head::End => return Ok(None),
            Head::At(head) if head >= place => return Ok(Some(head)),
            Head::At(_) | Head::Unknown => {}
        }
        *leaps = leaps.saturating_add(1);
        let key = [self.prefix.as_slice(), &place.to_bytes()].concat();
        let entry = self.table.from(&reader.txn, &key)?.next().transpose()?;
        let found = entry.and_then(|(key, _)| key.strip_prefix(self.prefix.as_slice())?.first_chunk());
        let found = found.map(Place::from_bytes);
        self.head = found.map_or(Head::End, Head::At);
        Ok(found)
    }
}

impl Reader<'_> {
    /// The records in `span` that all of `conditions` hold for and that `read` does not turn away. There is one
    /// condition at least.
    pub(super) fn search<R>(
        &self,
        mut conditions: Vec<AnyOf<'_>>,
        span: &Span,
        mut read: impl FnMut(Place) -> Result<Option<R>, StoreError>,
    ) -> Result<Page<R>, StoreError> {
        let mut found = Vec::new();
        let mut next = match span.after.map(Place::successor) {
            None => Some(span.first),
            Some(next) => next.map(|next| next.max(span.first)),
        };
        let mut leaps = 0;
        while let Some(from) = next {
            if found.len() >= span.limit || leaps >= MAX_LEAPS {
                return Ok(Page {
                    found,
                    // Behind the place before this one: nothing is left out, nothing comes twice.
                    next: Some(from.predecessor()),
                });
            }
            next = match self.meet(&mut conditions, from, span.until, &mut leaps)? {
                Met::Nowhere => break,
                // Out of leaps in the middle: the next page goes on from there.
                Met::NotYet(place) => Some(place),
                Met::At(place) => {
                    found.extend(read(place)?);
                    place.successor()
                }
            };
        }
        Ok(Page { found, next: None })
    }

    /// The first place at `from` or behind, up to `until`, that all conditions hold.
    fn meet(
        &self,
        conditions: &mut [AnyOf<'_>],
        from: Place,
        until: u64,
        leaps: &mut u32,
    ) -> Result<Met, StoreError> {
        let mut place = from;
        'again: loop {
            for condition in &mut *conditions {
                if *leaps >= MAX_LEAPS {
                    return Ok(Met::NotYet(place));
                }
                match condition.leap(self, place, leaps)? {
                    Some(next) if next.at > until => return Ok(Met::Nowhere),
                    None => return Ok(Met::Nowhere),
                    Some(next) if next != place => {
                        place = next;
                        continue 'again;
                    }
                    Some(_) => {}
                }
            }
            return Ok(Met::At(place));
        }
    }
}
