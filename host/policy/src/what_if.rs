//! Questions that were put to another revision, or to none.

use crate::imports::Imports;
use crate::limits::Instances;
use crate::record::{Input, Record};
use crate::revision::Revision;
use std::time::Instant;

impl Revision {
    /// What this revision would decide, were it asked `input`, with its limits and grants, and told what `imports` say.
    ///
    /// As in a replay only fuel limits it and the clock does not run, so the same question has the same answer on every
    /// machine; the record says how long it took here all the same.
    pub fn what_if(&self, input: Input, imports: &dyn Imports) -> Record {
        let started = Instant::now();
        let limits = self.within(&input.limits());
        let asked = self.ask_live(&input, imports, input.grants(), None, &limits);
        self.record(input, asked, Instances::Fresh, started.elapsed())
    }
}
