//! The cells of the matrix: which there are, which cannot be and why, and a few that have every pair in them.

use bourse_wamp::Serializer;

/// Who routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Router {
    Embedded,
    Crossbar,
}

/// Over what a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    WebSocket,
    RawSocket,
}

/// Whose code the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Ours,
    Python,
    JavaScript,
}

/// How it logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Login {
    Anonymous,
    Ticket,
    Cra,
    SaltedCra,
    Scram,
    Cryptosign,
}

impl Router {
    pub(crate) const ALL: [Self; 2] = [Self::Embedded, Self::Crossbar];
}

impl Transport {
    pub(crate) const ALL: [Self; 2] = [Self::WebSocket, Self::RawSocket];
}

impl Client {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Python, Self::JavaScript];
}

impl Login {
    pub(crate) const ALL: [Self; 6] = [
        Self::Anonymous,
        Self::Ticket,
        Self::Cra,
        Self::SaltedCra,
        Self::Scram,
        Self::Cryptosign,
    ];

    /// The name of the method on the wire, in the word that autobahn and Crossbar.io have for it.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ticket => "ticket",
            Self::Cra | Self::SaltedCra => "wampcra",
            Self::Scram => "scram",
            Self::Cryptosign => "cryptosign",
        }
    }
}

/// One client at one router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    pub(crate) router: Router,
    pub(crate) transport: Transport,
    pub(crate) serializer: Serializer,
    pub(crate) login: Login,
    pub(crate) client: Client,
}

impl Cell {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for router in Router::ALL {
            for client in Client::ALL {
                for login in Login::ALL {
                    for transport in Transport::ALL {
                        cells.extend(Serializer::ALL.map(|serializer| Self {
                            router,
                            transport,
                            serializer,
                            login,
                            client,
                        }));
                    }
                }
            }
        }
        cells
    }

    /// Why there can be no such client; docs/wamp.md says the same.
    pub(crate) fn impossible(self) -> Option<&'static str> {
        match self {
            Self {
                client: Client::JavaScript,
                login: Login::Scram,
                ..
            } => Some("autobahn-js has no SCRAM"),
            Self {
                client: Client::JavaScript,
                transport: Transport::RawSocket,
                serializer: Serializer::MsgPack | Serializer::Cbor,
                ..
            } => Some("autobahn-js speaks JSON alone over RawSocket"),
            _ => None,
        }
    }

    /// Its two values in each pair of dimensions, by which a selection knows what it has.
    fn pairs(self) -> Vec<(usize, String, usize, String)> {
        let values = [
            format!("{:?}", self.router),
            format!("{:?}", self.transport),
            format!("{:?}", self.serializer),
            format!("{:?}", self.login),
            format!("{:?}", self.client),
        ];
        let mut pairs = Vec::new();
        for (first, one) in values.iter().enumerate() {
            for (second, other) in values.iter().enumerate().skip(first + 1) {
                pairs.push((first, one.clone(), second, other.clone()));
            }
        }
        pairs
    }
}

/// Cells of these that have every pair of values in them that these have, by taking the one that adds most, again and
/// again.
pub(crate) fn pairwise(cells: &[Cell]) -> Vec<Cell> {
    let mut missing: std::collections::HashSet<_> = cells.iter().flat_map(|cell| cell.pairs()).collect();
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let adds = |cell: &Cell| cell.pairs().iter().filter(|pair| missing.contains(pair)).count();
        // Of equals the first, so that it is the same selection every time.
        let best = cells.iter().rev().max_by_key(|cell| adds(cell)).copied().unwrap();
        for pair in best.pairs() {
            missing.remove(&pair);
        }
        chosen.push(best);
    }
    chosen
}

#[test]
fn a_selection_has_every_pair_and_is_small() {
    let possible: Vec<Cell> = Cell::all()
        .into_iter()
        .filter(|cell| cell.impossible().is_none())
        .collect();
    let chosen = pairwise(&possible);
    let pairs = |cells: &[Cell]| -> std::collections::HashSet<_> {
        cells.iter().flat_map(|cell| cell.pairs()).collect()
    };
    assert_eq!(pairs(&chosen), pairs(&possible));
    assert!(chosen.len() <= 30, "{}", chosen.len());
    assert_eq!(chosen, pairwise(&possible), "the same every time");
}
