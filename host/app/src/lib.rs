//! bourse-app
