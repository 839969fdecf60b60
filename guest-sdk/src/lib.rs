//! bourse-sdk
