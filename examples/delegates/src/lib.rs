//! bourse-delegates
