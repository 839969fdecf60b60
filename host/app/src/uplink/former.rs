//! The sessions that this process had at the router before, which the router may take for alive long after they were lost.

/// So many are remembered. Each link that is lost adds one, and each that is made takes off whichever the router answers for.
const REMEMBERED: usize = 8;

/// Their ids, the last one last.
#[derive(Debug, Default)]
pub(super) struct Former(Vec<u64>);

impl Former {
    /// There is a new one. Yields those before it: what they still serve is in its way.
    pub(super) fn next(&mut self, session: u64) -> Vec<u64> {
        let before = self.0.clone();
        if self.0.len() >= REMEMBERED {
            self.0.drain(..1);
        }
        self.0.push(session);
        before
    }

    /// The router has said what it has to say of one.
    pub(super) fn is_over(&mut self, session: u64) {
        self.0.retain(|other| *other != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_in_the_way_until_the_router_has_answered_for_it() {
        let mut former = Former::default();
        assert!(former.next(1).is_empty());
        assert_eq!(former.next(2), [1]);
        assert_eq!(former.next(3), [1, 2], "nobody has answered for the first");
        former.is_over(1);
        former.is_over(2);
        assert_eq!(former.next(4), [3]);
        (5..100).for_each(|session| drop(former.next(session)));
        assert_eq!(former.next(100).len(), REMEMBERED);
    }
}
