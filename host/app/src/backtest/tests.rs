//! Logs made in the real sandbox by the shipped policies, replayed, tried on and damaged.

mod backtest;
mod history;
mod hooks;
mod noise;
mod page;
mod replay;
