//! A real chain: anvil in a process of its own, the real contracts, and the parties with their keys.

use crate::World;
use bourse_app::config::{ChainMode, Config, ContractAddresses};
pub use bourse_app::dev_chain::Parties;
use bourse_app::dev_chain::{Anvil, AnvilOptions, CHAIN_ID, Members, set_up};
use bourse_chain::{
    Artifacts, Call, ChannelClose, ChannelOpen, Contracts, DevNode, Domain, Foreign, Node, RawLog, SendError,
    Sender, Signer, Snapshot, TransactionReceipt, decode, deploy,
};
use bourse_market::chain::ChainEvent;
use bourse_market::{Address, Amount, ChannelId, ChannelKind, MarketId};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A chain, with the contracts and, as a rule, a market on it. The node ends when this is dropped.
pub struct Chain {
    anvil: Anvil,
    pub contracts: Contracts,
    pub parties: Parties,
    pub artifacts: Artifacts,
}

/// A chain whose node has ended.
pub struct Dead {
    state: Vec<u8>,
    url: String,
    contracts: Contracts,
    parties: Parties,
    artifacts: Artifacts,
}

impl Dead {
    /// A node at the same address, with the same chain.
    pub async fn revive(self) -> Chain {
        let Self {
            state,
            url,
            contracts,
            parties,
            artifacts,
        } = self;
        let options = AnvilOptions {
            program: std::env::var_os("BOURSE_ANVIL").unwrap().into(),
            port: url.rsplit_once(':').unwrap().1.parse().unwrap(),
            shielded: false,
        };
        let anvil = Anvil::start(&options).await.unwrap();
        anvil.node().load(state).await.unwrap();
        Chain {
            anvil,
            contracts,
            parties,
            artifacts,
        }
    }
}

impl Chain {
    /// The market of [`Chain::start`].
    pub const MARKET: MarketId = MarketId([0x3A; 16]);
    /// How often a host that follows it asks for news.
    pub const POLL: Duration = Duration::from_millis(20);

    /// A market that can trade, and whose market maker is `parties.marketmaker`: owner, buyer and seller are members, buyer
    /// and seller are in the market, buyer and market maker have 10,000 tokens each that XBRChannel may take, and the head
    /// is at the first block at which a market trades. None, and a line that says so, where there is no anvil.
    pub async fn start() -> Option<Self> {
        let parties = Parties::well_known().unwrap();
        let marketmaker = parties.marketmaker.clone();
        Self::start_for(&marketmaker).await
    }

    /// The same with another market maker.
    pub async fn start_for(marketmaker: &Signer) -> Option<Self> {
        let mut chain = Self::bare().await?;
        chain.parties.marketmaker = marketmaker.clone();
        let members = Members::new(chain.dev(), &chain.parties, marketmaker)
            .await
            .unwrap();
        set_up(chain.dev(), &chain.contracts, &members, Self::MARKET)
            .await
            .unwrap();
        Some(chain)
    }

    /// The contracts alone, at block 7. The organisation is a member and has all tokens; nothing else happened.
    pub async fn bare() -> Option<Self> {
        let (Some(program), Some(artifacts)) = (
            std::env::var_os("BOURSE_ANVIL"),
            std::env::var_os("BOURSE_CONTRACTS"),
        ) else {
            eprintln!("NOT CHECKED: BOURSE_ANVIL or BOURSE_CONTRACTS is unset; `cargo xtask test` sets both");
            return None;
        };
        let options = AnvilOptions {
            program: PathBuf::from(program),
            port: 0,
            // Whoever ends this test's whole group of processes ends the node too.
            shielded: false,
        };
        let anvil = Anvil::start(&options).await.unwrap();
        let artifacts = Artifacts::at(&PathBuf::from(artifacts));
        let parties = Parties::well_known().unwrap();
        let organization = Sender::new(anvil.node().node().clone(), parties.organization.clone())
            .await
            .unwrap();
        Some(Self {
            contracts: deploy(&artifacts, &organization).await.unwrap(),
            anvil,
            parties,
            artifacts,
        })
    }

    /// A market of `parties.marketmaker` that follows this chain, each block counting when `depth` others lie above it.
    pub async fn world(&self, depth: u64, change: impl FnOnce(&mut Config)) -> World {
        World::prepared(
            |data| self.keep_key(data),
            |config| {
                self.configure(config, depth);
                change(config);
            },
        )
        .await
    }

    /// Writes the market maker's key into a data folder.
    pub fn keep_key(&self, data: &Path) {
        let path = data.join("marketmaker.key");
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .unwrap();
        let key = hex::encode(self.parties.marketmaker.to_bytes());
        file.write_all(key.as_bytes()).unwrap();
    }

    /// What a market's configuration says of this chain.
    pub fn configure(&self, config: &mut Config, depth: u64) {
        let Contracts {
            token,
            network,
            catalog,
            market,
            channel,
        } = self.contracts;
        let chain = &mut config.chain;
        chain.mode = ChainMode::Ethereum;
        chain.rpc = Some(self.url().to_owned());
        chain.depth = depth;
        chain.poll_ms = u64::try_from(Self::POLL.as_millis()).unwrap();
        chain.contracts = Some(ContractAddresses {
            token: token.to_string(),
            network: network.to_string(),
            catalog: catalog.to_string(),
            market: market.to_string(),
            channel: channel.to_string(),
        });
    }

    /// The same in the environment, for a host in a process of its own, whose node answers at `rpc`.
    pub fn variables(&self, rpc: &str, depth: u64) -> Vec<(&'static str, OsString)> {
        let contracts = self.contracts;
        [
            ("BOURSE__CHAIN__MODE", "ethereum".to_owned()),
            ("BOURSE__CHAIN__RPC", rpc.to_owned()),
            ("BOURSE__CHAIN__DEPTH", depth.to_string()),
            ("BOURSE__CHAIN__POLL_MS", Self::POLL.as_millis().to_string()),
            (
                "BOURSE__CHAIN__CONTRACTS__TOKEN",
                format!("\"{}\"", contracts.token),
            ),
            (
                "BOURSE__CHAIN__CONTRACTS__NETWORK",
                format!("\"{}\"", contracts.network),
            ),
            (
                "BOURSE__CHAIN__CONTRACTS__CATALOG",
                format!("\"{}\"", contracts.catalog),
            ),
            (
                "BOURSE__CHAIN__CONTRACTS__MARKET",
                format!("\"{}\"", contracts.market),
            ),
            (
                "BOURSE__CHAIN__CONTRACTS__CHANNEL",
                format!("\"{}\"", contracts.channel),
            ),
        ]
        .map(|(name, value)| (name, value.into()))
        .to_vec()
    }

    /// Ends the node, as a crash would end it for whoever asks it; [`Dead::revive`] has it go on.
    pub async fn kill(self) -> Dead {
        let (state, url) = (self.dev().dump().await.unwrap(), self.url().to_owned());
        let Self {
            anvil,
            contracts,
            parties,
            artifacts,
        } = self;
        anvil.stop().await.unwrap();
        Dead {
            state,
            url,
            contracts,
            parties,
            artifacts,
        }
    }

    /// Where the node answers.
    pub fn url(&self) -> &str {
        self.anvil.url()
    }

    /// The node, as a market sees it.
    pub fn node(&self) -> &Node {
        self.dev().node()
    }

    /// The node, as only a test sees it: blocks, time, snapshots.
    pub fn dev(&self) -> &DevNode {
        self.anvil.node()
    }

    /// Where messages are valid.
    pub fn domain(&self) -> Domain {
        Domain {
            chain_id: CHAIN_ID,
            verifying_contract: self.contracts.network,
        }
    }

    pub async fn head(&self) -> u64 {
        self.node().latest().await.unwrap().number.to()
    }

    pub async fn mine(&self, blocks: u64) {
        self.dev().mine(blocks).await.unwrap();
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.dev().snapshot().await.unwrap()
    }

    /// Goes back: every block after the snapshot is gone.
    pub async fn revert(&self, to: Snapshot) {
        self.dev().revert(to).await.unwrap();
    }

    /// The next block's time, seconds since the Unix epoch.
    pub async fn set_next_timestamp(&self, seconds: u64) {
        self.dev().set_next_timestamp(seconds).await.unwrap();
    }

    /// Sends any call as any party, and waits until it is in a block.
    ///
    /// # Errors
    ///
    /// Why it is not, with the contract's reason.
    pub async fn try_send(&self, who: &Signer, call: &Call) -> Result<TransactionReceipt, SendError> {
        let sender = Sender::new(self.node().clone(), who.clone()).await.unwrap();
        sender.send(call).await
    }

    /// The same, which must succeed.
    pub async fn send(&self, who: &Signer, call: &Call) -> TransactionReceipt {
        self.try_send(who, call).await.unwrap()
    }

    /// The reason for which a contract refuses a call.
    pub async fn refusal(&self, who: &Signer, call: &Call) -> String {
        self.try_send(who, call).await.unwrap_err().to_string()
    }

    pub async fn tokens_of(&self, owner: Address) -> Amount {
        self.contracts.tokens_of(self.node(), owner).await.unwrap()
    }

    /// What an actor would sign now to open a channel in [`Chain::MARKET`]: the buyer a payment channel, the seller a
    /// paying one, each with its delegate.
    pub async fn opening(&self, kind: ChannelKind, channel: ChannelId, amount: Amount) -> ChannelOpen {
        let parties = &self.parties;
        let (actor, delegate, recipient) = match kind {
            ChannelKind::Payment => (&parties.buyer, &parties.buyer_delegate, &parties.owner),
            ChannelKind::Paying => (&parties.seller, &parties.seller_delegate, &parties.seller),
        };
        ChannelOpen {
            kind,
            opened_at: Amount::from_units(self.head().await.into()),
            market: Self::MARKET,
            channel,
            actor: actor.address(),
            delegate: delegate.address(),
            marketmaker: parties.marketmaker.address(),
            recipient: recipient.address(),
            amount,
        }
    }

    /// Opens a channel past the market: signed by the buyer or the seller, sent by the market maker.
    pub async fn open(&self, kind: ChannelKind, channel: ChannelId, amount: Amount) -> TransactionReceipt {
        let open = self.opening(kind, channel, amount).await;
        let actor = match kind {
            ChannelKind::Payment => &self.parties.buyer,
            ChannelKind::Paying => &self.parties.seller,
        };
        let signature = actor.sign(&open.digest(&self.domain()));
        let call = self.contracts.open_channel(&open, &signature);
        self.send(&self.parties.marketmaker, &call).await
    }

    /// Shows a state of a channel to the contract past the market, signed by this delegate and the market maker.
    ///
    /// # Errors
    ///
    /// Why the contract does not take it.
    pub async fn close(
        &self,
        close: &ChannelClose,
        delegate: &Signer,
    ) -> Result<TransactionReceipt, SendError> {
        let digest = close.digest(&self.domain());
        let marketmaker = &self.parties.marketmaker;
        let call = self
            .contracts
            .close_channel(close, &delegate.sign(&digest), &marketmaker.sign(&digest));
        self.try_send(marketmaker, &call).await
    }

    /// All that the five contracts logged from block `from` on, and what we make of it.
    pub async fn logged(&self, from: u64) -> Vec<(RawLog, Result<ChainEvent, Foreign>)> {
        let contracts = self.contracts.named().map(|(_, address)| address);
        let logs = self
            .node()
            .logs(from, self.head().await, &contracts)
            .await
            .unwrap();
        logs.into_iter()
            .map(|log| {
                let event = decode(&self.contracts, &log);
                (log, event)
            })
            .collect()
    }
}
