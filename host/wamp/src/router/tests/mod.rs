//! The router against clients that speak message by message, and break the rules.

mod calls;
mod client;
mod events;
mod hostile;
mod limits;
mod meta;
mod revise;
mod rules;
mod slow;
mod transports;
