//! What fuzzing throws at the sandbox.
