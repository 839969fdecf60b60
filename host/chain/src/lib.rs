//! bourse-chain
