//! Finding records: each condition of a query is one list or several of an index, all lists in one order, and the
//! records that every condition holds for are found by letting each leap to where the others stand.
//!
//! What lives here: places in an order, the search, and the two queries that use it, for offers and for consents. No
//! index has to be chosen: the rarest condition sets the pace, since every other one leaps over what it does not have.
//! What never does: which entries a record has; that is `index`.

mod consents;
mod offers;
mod place;
mod search;

pub use consents::ConsentQuery;
pub use offers::OfferQuery;
pub use place::Place;

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<R> {
    /// The records, in their order.
    pub found: Vec<R>,
    /// Where to go on; none if there is nothing more.
    pub next: Option<Place>,
}

impl<R> Page<R> {
    /// The same page of what `change` makes of its records.
    pub(crate) fn map<S>(self, change: impl FnMut(R) -> S) -> Page<S> {
        Page {
            found: self.found.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}
