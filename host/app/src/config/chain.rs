//! `[chain]`: where purchases settle.

use super::check::{Faults, between};
use anyhow::Context;
use bourse_chain::{Contracts, FollowOptions, Gateway, Heads, Limits, Node};
use bourse_market::Address;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[chain]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chain {
    /// `local`: settlement without a chain, with test tokens. `ethereum`: by the contracts of an XBR deployment.
    pub mode: ChainMode,
    /// The file of the market maker's key: hex, 32 raw bytes or a keystore file, readable by its owner alone. It must be
    /// there. If it is not given, `marketmaker.key` in the data folder, which is made at the first start.
    pub key: Option<PathBuf>,
    /// The file of the passphrase that opens an encrypted key, readable by its owner alone. The environment variable
    /// `BOURSE_KEY_PASSPHRASE` goes before it. A key that is made at the first start is encrypted with it.
    pub key_passphrase_file: Option<PathBuf>,
    /// The node to ask: `http://HOST:PORT` or `https://HOST/PATH`.
    pub rpc: Option<String>,
    /// Where the node tells of new blocks: `ws://HOST:PORT` or `wss://HOST/PATH`. Without it, it is asked for them.
    pub ws: Option<String>,
    /// Other nodes, each of which must have the same blocks and the same events of channels.
    pub verify: Vec<String>,
    /// Blocks that must lie above one before it counts.
    pub depth: u64,
    /// The first block that may hold an event: that of the contracts' deployment, or any before it.
    pub from_block: u64,
    /// Milliseconds between two questions for a new block.
    pub poll_ms: u64,
    /// Milliseconds that a node may take for one answer.
    pub answer_ms: u64,
    /// Gwei that the market maker pays for a unit of gas at most.
    pub max_fee_gwei: u64,
    /// Blocks after which a transaction of the market maker that is in none is sent again for an eighth more.
    pub bump_after_blocks: u64,
    /// The gateway to IPFS that metadata of catalogs and the licence are fetched from: `https://HOST`, behind which comes
    /// `/ipfs/ID?format=raw`. Nothing is fetched without one.
    pub ipfs_gateway: Option<String>,
    /// The file of the licence that XBRNetwork names by its hash; relative to the folder of the configuration.
    pub eula_file: Option<PathBuf>,
    /// Where the contracts are.
    pub contracts: Option<ContractAddresses>,
    /// Settings of local mode.
    pub local: Local,
}

/// Where purchases settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainMode {
    /// Without a chain, with test tokens.
    Local,
    /// On a chain, by its contracts.
    Ethereum,
}

/// `[chain.contracts]`: addresses, `0x` and 40 hex digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractAddresses {
    /// XBRToken.
    pub token: String,
    /// XBRNetwork.
    pub network: String,
    /// XBRCatalog.
    pub catalog: String,
    /// XBRMarket.
    pub market: String,
    /// XBRChannel.
    pub channel: String,
}

/// `[chain.local]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Local {
    /// Whole tokens the market maker starts with. Counts at the first start only.
    pub float: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            mode: ChainMode::Local,
            key: None,
            key_passphrase_file: None,
            rpc: None,
            ws: None,
            verify: Vec::new(),
            depth: 20,
            from_block: 0,
            poll_ms: 1000,
            answer_ms: 10_000,
            max_fee_gwei: 500,
            bump_after_blocks: 10,
            ipfs_gateway: None,
            eula_file: None,
            contracts: None,
            local: Local::default(),
        }
    }
}

impl Default for Local {
    fn default() -> Self {
        Self { float: 1_000_000_000 }
    }
}

/// A chain to settle on, as configured.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) node: Node,
    pub(crate) verifiers: Vec<Node>,
    pub(crate) follow: FollowOptions,
    pub(crate) poll: Duration,
    /// Where the node tells of new blocks.
    pub(crate) heads: Option<Heads>,
    /// Wei that a unit of gas may cost.
    pub(crate) max_fee: u64,
    pub(crate) bump_after: u64,
}

impl Chain {
    /// As it may be shown.
    pub(super) fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        let gateway = shown.ipfs_gateway.iter_mut();
        for url in shown
            .rpc
            .iter_mut()
            .chain(&mut shown.ws)
            .chain(&mut shown.verify)
            .chain(gateway)
        {
            *url = bourse_chain::without_secrets(url);
        }
        shown
    }

    /// The gateway to IPFS, if one is configured.
    ///
    /// # Errors
    ///
    /// If its address is none.
    pub(crate) fn gateway(&self) -> anyhow::Result<Option<Gateway>> {
        let url = self.ipfs_gateway.as_deref();
        url.map(|url| Gateway::at(url, Limits::default()).context("chain.ipfs_gateway cannot be used"))
            .transpose()
    }

    /// Notes every setting that is missing or makes no sense. Without a chain, none of them is looked at.
    pub(super) fn check_settlement(&self, faults: &mut Faults) {
        /// Less would busy the node, more would keep buyers waiting for their channels.
        const POLL_MS: std::ops::RangeInclusive<u64> = 20..=600_000;
        /// From what a node nearby needs to what nobody would wait for.
        const ANSWER_MS: std::ops::RangeInclusive<u64> = 50..=120_000;
        /// A day and more, on any chain.
        const MAX_DEPTH: u64 = 100_000;
        /// From less than any chain asks to what nobody would pay.
        const FEE_GWEI: std::ops::RangeInclusive<u64> = 1..=1_000_000;
        if self.mode == ChainMode::Local {
            return;
        }
        faults.check("chain.rpc", self.node().map(drop));
        faults.check("chain.verify", self.verifiers().map(drop));
        faults.check("chain.ws", self.heads().map(drop));
        match &self.contracts {
            None => faults.check("chain.contracts", self.contracts().map(drop)),
            Some(contracts) => contracts.check(faults),
        }
        between(faults, "chain.poll_ms", self.poll_ms, POLL_MS);
        between(faults, "chain.answer_ms", self.answer_ms, ANSWER_MS);
        faults.unless(self.depth <= MAX_DEPTH, "chain.depth", || {
            format!("chain.depth is {}: at most {MAX_DEPTH} blocks", self.depth)
        });
        between(faults, "chain.max_fee_gwei", self.max_fee_gwei, FEE_GWEI);
        faults.unless(
            self.bump_after_blocks > 0,
            "chain.bump_after_blocks",
            || "chain.bump_after_blocks is 0: a transaction waits for one block at least",
        );
    }

    /// The chain to settle on; none in local mode.
    ///
    /// # Errors
    ///
    /// The first setting that is missing or cannot be used, with what could.
    pub(crate) fn plan(&self) -> anyhow::Result<Option<Plan>> {
        const WEI_PER_GWEI: u64 = 1_000_000_000;
        if self.mode == ChainMode::Local {
            return Ok(None);
        }
        Ok(Some(Plan {
            node: self.node()?,
            verifiers: self.verifiers()?,
            follow: FollowOptions {
                contracts: self.contracts()?,
                depth: self.depth,
                from_block: self.from_block,
            },
            poll: Duration::from_millis(self.poll_ms),
            heads: self.heads()?,
            max_fee: self.max_fee_gwei.saturating_mul(WEI_PER_GWEI),
            bump_after: self.bump_after_blocks,
        }))
    }

    fn answers(&self) -> Limits {
        Limits {
            answer: Duration::from_millis(self.answer_ms),
            ..Limits::default()
        }
    }

    fn node(&self) -> anyhow::Result<Node> {
        let rpc = self.rpc.as_deref().context(
            "chain.mode is \"ethereum\", and chain.rpc is missing: where is the node, such as http://127.0.0.1:8545?",
        )?;
        Node::at(rpc, self.answers()).context("chain.rpc cannot be used")
    }

    fn verifiers(&self) -> anyhow::Result<Vec<Node>> {
        let nodes = self.verify.iter().map(|url| Node::at(url, self.answers()));
        nodes
            .map(|node| node.context("chain.verify cannot be used"))
            .collect()
    }

    fn heads(&self) -> anyhow::Result<Option<Heads>> {
        let heads = self.ws.as_deref().map(|url| Heads::at(url, self.answers()));
        heads.transpose().context("chain.ws cannot be used")
    }

    fn contracts(&self) -> anyhow::Result<Contracts> {
        let addresses = self.contracts.as_ref().context(
            "chain.mode is \"ethereum\", and [chain.contracts] is missing: expected the addresses of token, network, \
             catalog, market and channel",
        )?;
        addresses.parse()
    }
}

impl ContractAddresses {
    fn named(&self) -> [(&'static str, &str); 5] {
        [
            ("chain.contracts.token", &self.token),
            ("chain.contracts.network", &self.network),
            ("chain.contracts.catalog", &self.catalog),
            ("chain.contracts.market", &self.market),
            ("chain.contracts.channel", &self.channel),
        ]
    }

    fn check(&self, faults: &mut Faults) {
        for (key, text) in self.named() {
            faults.check(key, address(key, text).map(drop));
        }
    }

    fn parse(&self) -> anyhow::Result<Contracts> {
        let [token, network, catalog, market, channel] = self.named().map(|(key, text)| address(key, text));
        Ok(Contracts {
            token: token?,
            network: network?,
            catalog: catalog?,
            market: market?,
            channel: channel?,
        })
    }
}

fn address(key: &str, text: &str) -> anyhow::Result<Address> {
    text.parse().with_context(|| format!("{key} is no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(text: &str) -> anyhow::Result<Option<Plan>> {
        let chain: Chain = toml::from_str(text)?;
        let mut faults = Faults::default();
        chain.check_settlement(&mut faults);
        faults.into_result()?;
        chain.plan()
    }

    const CONTRACTS: &str = r#"
        [contracts]
        token = "0x5b1869D9A4C187F2EAa108f3062412ecf0526b24"
        network = "0xCfEB869F69431e42cdB54A4F4f105C19C080A601"
        catalog = "0xC89Ce4735882C9F0f0FE26686c53074E09B0D550"
        market = "0xD833215cBcc3f914bD1C9ece3EE7BF8B14f841bb"
        channel = "0x9561C133DD8580860B6b7E504bC5Aa500f0f06a7"
    "#;

    #[test]
    fn what_is_shown_of_a_node_is_where_it_is() {
        let text = "rpc = \"https://node.example.org/v3/a-secret\"\nws = \"wss://node.example.org/a-secret\"\n\
                    verify = [\"https://b.example.org/a-secret\"]\n\
                    ipfs_gateway = \"https://a-secret@c.example.org/a-secret\"";
        let shown = toml::from_str::<Chain>(text).unwrap().without_secrets();
        assert!(!toml::to_string(&shown).unwrap().contains("a-secret"));
        assert!(toml::to_string(&shown).unwrap().contains("node.example.org"));
    }

    #[test]
    fn a_gateway_is_an_address_of_the_web_behind_which_an_id_may_come() {
        let gateway = |url: &str| {
            let chain = Chain {
                ipfs_gateway: Some(url.to_owned()),
                ..Chain::default()
            };
            chain.gateway().map(|gateway| gateway.unwrap().name().to_owned())
        };
        assert_eq!(gateway("http://127.0.0.1:8080").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(
            gateway("https://g.example.org/a-secret/").unwrap(),
            "https://g.example.org/…"
        );
        for url in [
            "",
            "g.example.org",
            "ipfs://g.example.org",
            "https://g.example.org/?id=",
            "https://g.example.org/#",
        ] {
            let error = format!("{:#}", gateway(url).unwrap_err());
            assert!(error.contains("chain.ipfs_gateway cannot be used"), "{error}");
        }
    }

    #[test]
    fn a_chain_is_planned_when_all_is_there_and_what_is_missing_is_named() {
        assert!(chain("").unwrap().is_none());
        let plan = chain(&format!(
            "mode = \"ethereum\"\nrpc = \"http://127.0.0.1:8545\"\n{CONTRACTS}"
        ));
        let plan = plan.unwrap().unwrap();
        assert_eq!(
            (plan.follow.depth, plan.node.name()),
            (20, "http://127.0.0.1:8545")
        );
        for (text, says) in [
            ("mode = \"ethereum\"", "chain.rpc is missing"),
            (
                "mode = \"ethereum\"\nrpc = \"http://127.0.0.1:8545\"",
                "[chain.contracts] is missing",
            ),
            (
                &format!("mode = \"ethereum\"\nrpc = \"127.0.0.1\"\n{CONTRACTS}"),
                "chain.rpc cannot be used",
            ),
            (
                &format!("mode = \"ethereum\"\nrpc = \"http://127.0.0.1\"\npoll_ms = 1\n{CONTRACTS}"),
                "chain.poll_ms is 1",
            ),
            (
                &format!(
                    "mode = \"ethereum\"\nrpc = \"http://127.0.0.1\"\nws = \"http://127.0.0.1\"\n{CONTRACTS}"
                ),
                "chain.ws cannot be used",
            ),
            (
                &format!(
                    "mode = \"ethereum\"\nrpc = \"http://127.0.0.1\"\n{}",
                    CONTRACTS.replace("0x956", "0x9")
                ),
                "chain.contracts.channel is no address",
            ),
        ] {
            let error = chain(text).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
