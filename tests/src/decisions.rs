//! What policies decided, as the log beside the ledger holds it.

use crate::World;
use bourse_policy::Record;
use std::ops::ControlFlow;

/// Every decision of the log, in the order in which they were made. Flush the host's log first.
pub fn decisions(world: &World) -> Vec<Record> {
    let mut records = Vec::new();
    let folder = world.data().join("decisions");
    bourse_store::read_log(&folder, &mut |decision| {
        records.push(Record::decode(&decision.body).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    records
}
