//! What came of each cell, as a table for people: a line for a client at a router with a login, a column for a wire.

use crate::cell::{Cell, Client, Login, Router, Transport};
use bourse_wamp::Serializer;
use std::collections::HashMap;
use std::fmt;

/// What came of a cell.
pub(crate) enum Outcome {
    Green,
    Red(String),
    Impossible(&'static str),
}

/// Of those tried.
#[derive(Default)]
pub(crate) struct Table(HashMap<Cell, Outcome>);

impl Table {
    pub(crate) fn note(&mut self, cell: Cell, outcome: Outcome) {
        self.0.insert(cell, outcome);
    }

    /// The cells that should be green, and what was wrong.
    pub(crate) fn faults(&self) -> Vec<String> {
        let faults = self.0.iter().filter_map(|(cell, outcome)| match outcome {
            Outcome::Red(fault) => Some(format!("{cell:?}: {fault}")),
            Outcome::Green | Outcome::Impossible(_) => None,
        });
        let mut faults: Vec<String> = faults.collect();
        faults.sort();
        faults
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wires: Vec<(Transport, Serializer)> = Transport::ALL
            .into_iter()
            .flat_map(|transport| Serializer::ALL.map(|serializer| (transport, serializer)))
            .collect();
        write!(f, "{:36}", "+ green, ! red, - impossible, . not tried")?;
        for (transport, serializer) in &wires {
            let transport = match transport {
                Transport::WebSocket => "ws",
                Transport::RawSocket => "rs",
            };
            write!(f, " {:>10}", format!("{transport} {serializer:?}").to_lowercase())?;
        }
        writeln!(f)?;
        for router in Router::ALL {
            for client in Client::ALL {
                for login in Login::ALL {
                    write!(f, "{:41}", format!("{router:?} {client:?} {login:?}"))?;
                    for &(transport, serializer) in &wires {
                        let cell = Cell {
                            router,
                            transport,
                            serializer,
                            login,
                            client,
                        };
                        let sign = match self.0.get(&cell) {
                            Some(Outcome::Green) => '+',
                            Some(Outcome::Red(_)) => '!',
                            Some(Outcome::Impossible(_)) => '-',
                            None => '.',
                        };
                        write!(f, " {sign:>10}")?;
                    }
                    writeln!(f)?;
                }
            }
        }
        let mut reasons: Vec<&str> = self.0.values().filter_map(Outcome::impossible).collect();
        reasons.sort_unstable();
        reasons.dedup();
        write!(f, "impossible: {}", reasons.join("; "))
    }
}

impl Outcome {
    fn impossible(&self) -> Option<&'static str> {
        match self {
            Self::Impossible(why) => Some(why),
            Self::Green | Self::Red(_) => None,
        }
    }
}
