//! What a policy asked to write becomes what is written: against the state at the moment of the write.

use crate::{Change, DroppedWrites, Fault, PolicySlot, StateEdit, StateFault, StateWrite, View};
use std::collections::BTreeMap;

/// What a purchase's writes come to: the records that change, and what was not kept.
pub(super) type Resolved = (Vec<Change>, Vec<DroppedWrites>);

/// Resolves the writes of one purchase, policy by policy.
pub(super) fn resolve<V: View>(view: &V, writes: &[StateWrite]) -> Result<Resolved, Fault<V::Error>> {
    let mut by_policy: BTreeMap<&str, Vec<&StateWrite>> = BTreeMap::new();
    for write in writes {
        by_policy.entry(&write.policy).or_default().push(write);
    }
    let (mut changes, mut dropped) = (Vec::new(), Vec::new());
    let mut count = 0usize;
    for (policy, writes) in by_policy {
        let kept = match check(&writes, count) {
            Ok(()) => Space::read(view, policy).and_then(|mut space| {
                writes.iter().try_for_each(|write| space.edit(write))?;
                Ok(space.changes())
            })?,
            Err(why) => Err(why),
        };
        match kept {
            Ok(kept) => {
                count = count.saturating_add(writes.len());
                changes.extend(kept);
            }
            Err(why) => dropped.push(DroppedWrites {
                policy: policy.to_owned(),
                writes: writes.len(),
                why,
            }),
        }
    }
    Ok((changes, dropped))
}

/// What can be said of a policy's writes without reading; `before` are kept of other policies already.
fn check(writes: &[&StateWrite], before: usize) -> Result<(), StateFault> {
    let all = before.saturating_add(writes.len());
    if all > StateWrite::MAX_PER_PURCHASE {
        return Err(StateFault::TooMany { writes: all });
    }
    for write in writes {
        let bytes = write.key.len();
        if bytes > StateWrite::MAX_KEY {
            return Err(StateFault::Key { bytes });
        }
        match &write.edit {
            StateEdit::Set(Some(value)) if value.len() > StateWrite::MAX_VALUE => {
                let (key, bytes) = (write.key.clone(), value.len());
                return Err(StateFault::Value { key, bytes });
            }
            StateEdit::Set(_) | StateEdit::Add(_) => {}
        }
    }
    Ok(())
}

/// A policy's space, as far as a purchase touches it: what was there, and what will be.
struct Space<'v, V> {
    view: &'v V,
    policy: &'v str,
    size: u64,
    values: BTreeMap<PolicySlot, Slot<Option<Vec<u8>>>>,
    counters: BTreeMap<PolicySlot, Slot<i64>>,
}

struct Slot<T> {
    was: T,
    is: T,
}

impl<'v, V: View> Space<'v, V> {
    fn read(view: &'v V, policy: &'v str) -> Result<Self, Fault<V::Error>> {
        Ok(Self {
            view,
            policy,
            size: view.policy_size(policy).map_err(Fault::View)?,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
        })
    }

    fn edit(&mut self, write: &StateWrite) -> Result<(), Fault<V::Error>> {
        let slot = write.slot();
        match &write.edit {
            StateEdit::Set(value) => match self.values.get_mut(&slot) {
                Some(known) => known.is.clone_from(value),
                None => {
                    let was = self.view.policy_value(&slot).map_err(Fault::View)?;
                    let is = value.clone();
                    self.values.insert(slot, Slot { was, is });
                }
            },
            StateEdit::Add(by) => match self.counters.get_mut(&slot) {
                Some(known) => known.is = known.is.saturating_add(*by),
                None => {
                    let was = self.view.policy_counter(&slot).map_err(Fault::View)?;
                    let is = was.saturating_add(*by);
                    self.counters.insert(slot, Slot { was, is });
                }
            },
        }
        Ok(())
    }

    /// The records to write, unless the space would grow beyond its quota.
    fn changes(self) -> Result<Vec<Change>, StateFault> {
        let bytes_of = |slot: &PolicySlot, value: &Option<Vec<u8>>| {
            value.as_ref().map_or(0, |value| slot.size_of_value(value.len()))
        };
        let (mut freed, mut taken) = (0u64, 0u64);
        let mut changes = Vec::new();
        for (slot, Slot { was, is }) in self.values {
            freed = freed.saturating_add(bytes_of(&slot, &was));
            taken = taken.saturating_add(bytes_of(&slot, &is));
            if was != is {
                changes.push(Change::PolicyValue(slot, is));
            }
        }
        for (slot, Slot { was, is }) in self.counters {
            freed = freed.saturating_add(slot.size_of_counter(was));
            taken = taken.saturating_add(slot.size_of_counter(is));
            if was != is {
                changes.push(Change::PolicyCounter(slot, is));
            }
        }
        let bytes = self.size.saturating_sub(freed).saturating_add(taken);
        if bytes > StateWrite::QUOTA && bytes > self.size {
            return Err(StateFault::Full { bytes });
        }
        if bytes != self.size {
            changes.push(Change::PolicySize(self.policy.to_owned(), bytes));
        }
        Ok(changes)
    }
}
