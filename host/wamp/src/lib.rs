//! bourse-wamp
