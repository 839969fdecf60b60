//! bourse-tests
