//! Room for what was promised: new business is refused while it could still cost a pending purchase its write.

use crate::disk::Disk;
use crate::env::LedgerEnv;
use crate::error::{StoreError, SubmitError};
use crate::tables::Tables;
use bourse_market::registry::{Attributes, Registration};
use bourse_market::{Command, Offer, StateWrite, SweepRequest};
use heed::{AnyTls, RoTxn};
use std::fmt;

/// Bytes of the map that one command may take when it is committed alone and no page can be used again: at most some
/// seventy pages are copied (a path through each of the trees it touches, of an index once for each entry), and a
/// decision may take a few more.
const COMMAND_ROOM: u64 = 320 * 1024;

/// Bytes of the map that one label of an offer may take: a path through the index of labels.
const LABEL_ROOM: u64 = 16 * 1024;

/// Labels that [`COMMAND_ROOM`] has room for.
const USUAL_LABELS: u64 = 4;

/// Bytes of the map that a consent may take beyond what others do: with the block of its last change all its tags move in
/// their index, those it had and those it gets.
const CONSENT_ROOM: u64 = 2 * Attributes::MAX_TAGS as u64 * LABEL_ROOM;

/// Bytes of the map that a sweep may take: each entry that it takes away is one of a label, or costs no more.
const SWEEP_ROOM: u64 =
    (SweepRequest::MAX_ENTRIES + SweepRequest::USUAL_ENTRIES + Offer::MAX_CATEGORIES) as u64 * LABEL_ROOM;

/// Bytes of the map that an event of the chain may take: a record of the registry with its entries in three indexes, and
/// what it replaces once more, among the means to take it back.
const EVENT_ROOM: u64 = 4 * LABEL_ROOM;

/// Bytes of the map that going back along the chain may take: what some hundred events wrote, once more.
const UNWIND_ROOM: u64 = 128 * EVENT_ROOM;

/// Bytes of the map that an opening on the chain may take: each transaction that it makes or releases is as much as an event.
const OPENING_ROOM: u64 = 24 * EVENT_ROOM;

/// Pages that one write of a policy's state may take at most: a leaf, and what it splits into. Writes to one page share
/// it, so that all of them never take more than twice the pages there are.
const PAGES_PER_STATE_WRITE: u64 = 2;

/// Bytes of the map that new business never gets: what revoking and releasing need, and a reader that pins old
/// pages. Small maps keep a sixteenth.
const MAP_MARGIN: u64 = 16 * 1024 * 1024;
const MAP_MARGIN_PART: u64 = 16;

/// Bytes of the disk that new business leaves free. The ledger's file grows a page at a time, other programs' do not.
const DISK_MARGIN: u64 = 64 * 1024 * 1024;

/// What new business wants for: less is free than one purchase may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// `map` or `disk`.
    pub resource: &'static str,
    /// Bytes that are free and not promised.
    pub free: u64,
    /// Bytes that a purchase needs.
    pub needed: u64,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            free,
            needed,
        } = self;
        write!(
            f,
            "the {resource} is nearly full: {free} bytes are free for new business, a purchase needs {needed}"
        )
    }
}

/// What commands may still take in one batch.
#[derive(Debug)]
pub(crate) struct Room {
    resource: &'static str,
    /// For new business.
    left: u64,
    /// For what ends something that nobody was promised room for: the margin as well.
    spare: u64,
    /// Bytes that the end of a purchase may take.
    promise: u64,
    taken: bool,
}

/// Whose room a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It starts something.
    Starts,
    /// It ends something, and may use the margin for it, but not what purchases under way were promised.
    Ends,
    /// It ends a purchase under way, as was promised.
    Promised,
}

fn kind(command: &Command) -> Kind {
    match command {
        Command::Genesis(_)
        | Command::Fund(_)
        | Command::Open(_)
        | Command::Bind(_)
        | Command::Place(_)
        | Command::Reserve(_)
        | Command::Quarantine { .. }
        | Command::Deliver(_)
        // Without it the purchase ends as promised, only voided.
        | Command::Recover(_)
        | Command::Register(_)
        // It frees room in the end, and needs some first.
        | Command::Sweep(_)
        | Command::Consent(_)
        | Command::Login(_)
        // The chain waits; the follower asks again.
        | Command::Advance(_)
        | Command::Unwind(_)
        | Command::Intend(_)
        | Command::Renew(_)
        | Command::Carry(_)
        | Command::MoveLine(_) => Kind::Starts,
        Command::Revoke(_)
        | Command::Close(_)
        | Command::ReleaseChannel { .. }
        | Command::ReleasePair(_)
        | Command::Reconcile(_)
        | Command::Withdraw(_)
        | Command::Logout { .. }
        | Command::Show(_)
        | Command::Attempt(_)
        | Command::Conclude(_)
        | Command::Lapse { .. }
        | Command::Reopen(_) => Kind::Ends,
        Command::Post(_) | Command::Void(_) => Kind::Promised,
    }
}

/// Bytes a command needs: a reservation needs its POST's as well, which are `promise`, and a sale of an escrowed key is
/// both at once.
fn cost(command: &Command, promise: u64) -> u64 {
    match command {
        Command::Reserve(_) | Command::Deliver(_) => COMMAND_ROOM.saturating_add(promise),
        Command::Place(request) => {
            let labels = request.offer.categories.len() as u64;
            COMMAND_ROOM.saturating_add(labels.saturating_sub(USUAL_LABELS).saturating_mul(LABEL_ROOM))
        }
        Command::Sweep(_) => COMMAND_ROOM.saturating_add(SWEEP_ROOM),
        Command::Consent(_) => COMMAND_ROOM.saturating_add(CONSENT_ROOM),
        Command::Register(registration) => match &**registration {
            Registration::Consent(_) => COMMAND_ROOM.saturating_add(CONSENT_ROOM),
            _ => COMMAND_ROOM,
        },
        Command::Advance(request) => {
            COMMAND_ROOM.saturating_add(EVENT_ROOM.saturating_mul(request.events.len() as u64))
        }
        Command::Bind(request) => {
            COMMAND_ROOM.saturating_add(EVENT_ROOM.saturating_mul(request.channels.len() as u64))
        }
        Command::Unwind(_) => COMMAND_ROOM.saturating_add(UNWIND_ROOM),
        // Two transactions, and some whose deposits are free again.
        Command::Intend(_) => COMMAND_ROOM.saturating_add(OPENING_ROOM),
        Command::Carry(_) => COMMAND_ROOM
            .saturating_add(CONSENT_ROOM)
            .saturating_add(EVENT_ROOM),
        Command::Post(_) | Command::Void(_) => 0,
        _ => COMMAND_ROOM,
    }
}

/// How a command stands with the room there is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may go on.
    Admitted,
    /// Not in this batch: commit what is there, and measure again.
    NextBatch,
    /// Not at all.
    Full(SubmitError),
}

impl Room {
    /// Measures map and disk. Pages that are free in the file are counted half: a reader may pin them.
    pub(crate) fn measure(
        env: &LedgerEnv,
        tables: &Tables,
        txn: &RoTxn<'_, AnyTls>,
        disk: &dyn Disk,
    ) -> Result<Self, StoreError> {
        let main = env.unnamed_database_stat();
        let page = u64::from(main.page_size);
        let info = env.info();
        let map = info.map_size as u64;
        // Pages are numbered from 0, two meta pages included.
        let touched = (info.last_page_number as u64).saturating_add(1);
        let fresh = map.saturating_sub(touched.saturating_mul(page));

        let mut used = 2 + (main.branch_pages + main.leaf_pages + main.overflow_pages) as u64;
        for table in tables.all() {
            used = used.saturating_add(table.pages(txn)?);
        }
        let reusable = touched.saturating_sub(used).saturating_mul(page);
        let state = tables
            .policy_values
            .pages(txn)?
            .saturating_add(tables.policy_counters.pages(txn)?);
        let writes = (StateWrite::MAX_PER_PURCHASE as u64).min(state);
        let promise =
            COMMAND_ROOM.saturating_add(writes.saturating_mul(PAGES_PER_STATE_WRITE).saturating_mul(page));
        let promised = tables.sent.len(txn)?.saturating_mul(promise);
        let margin = MAP_MARGIN.min(map / MAP_MARGIN_PART);
        // Promises are kept from pages that nobody can pin; the margin may lie in used ones.
        let in_map = fresh.saturating_sub(promised).min(
            fresh
                .saturating_add(reusable / 2)
                .saturating_sub(promised)
                .saturating_sub(margin),
        );
        // A disk that cannot be asked is treated as full.
        let free = disk.free(env.path()).unwrap_or(0);
        let on_disk = free.saturating_sub(promised).saturating_sub(DISK_MARGIN);
        let spare = match promised {
            // Nobody's room is taken.
            0 => u64::MAX,
            _ => fresh
                .saturating_add(reusable / 2)
                .min(free)
                .saturating_sub(promised),
        };
        let (resource, left) = match on_disk < in_map {
            true => ("disk", on_disk),
            false => ("map", in_map),
        };
        Ok(Self {
            resource,
            left,
            spare,
            promise,
            taken: false,
        })
    }

    /// What the next purchase would lack.
    pub(crate) fn lack(&self) -> Option<Lack> {
        let needed = COMMAND_ROOM.saturating_add(self.promise);
        (self.left < needed).then_some(Lack {
            resource: self.resource,
            free: self.left,
            needed,
        })
    }

    /// Takes what `command` needs, if it is there.
    pub(crate) fn admit(&mut self, command: &Command) -> Admission {
        let needed = cost(command, self.promise);
        let free = match kind(command) {
            Kind::Promised => return Admission::Admitted,
            Kind::Starts => self.left,
            Kind::Ends => self.spare,
        };
        if free >= needed {
            self.left = self.left.saturating_sub(needed);
            self.spare = self.spare.saturating_sub(needed);
            self.taken = true;
            Admission::Admitted
        } else if self.taken {
            Admission::NextBatch
        } else {
            Admission::Full(SubmitError::Full {
                resource: self.resource,
                free,
                needed,
            })
        }
    }
}

/// The answer to a command that failed for want of room.
pub(crate) fn full(command: &Command) -> SubmitError {
    SubmitError::Full {
        resource: "map or disk",
        free: 0,
        needed: cost(command, COMMAND_ROOM).max(COMMAND_ROOM),
    }
}
