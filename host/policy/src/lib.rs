//! bourse-policy
