//! What an operator does to the policies of a running market, and what the watched folder does.

use super::Policies;
use crate::figures::UNKNOWN;
use bourse_policy::{Change, Changed, Deployed, PolicyStatus};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Between two looks at the folder.
const EVERY: Duration = Duration::from_millis(500);
/// Looks after which the log forgets what is too old: a minute.
const LOOKS_PER_TIDYING: u32 = 120;

/// A command about policies, as it comes over the control socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(crate) enum Request {
    /// What there is, and how it does.
    List,
    /// Puts a component in force, or in the shadow of what is. Its bytes follow.
    Deploy {
        /// The policy's name.
        name: String,
        /// Only as a shadow.
        shadow: bool,
    },
    /// Puts the shadow in force.
    Promote {
        /// The policy's name.
        name: String,
    },
    /// Back to the revision before.
    Rollback {
        /// The policy's name.
        name: String,
    },
    /// No more calls: what it covers is refused.
    Disable {
        /// The policy's name.
        name: String,
    },
    /// Calls again.
    Enable {
        /// The policy's name.
        name: String,
    },
}

/// What a command came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// For [`Request::List`].
    Policies(Vec<Listed>),
    /// For what changed a revision.
    Deployed {
        /// The change.
        #[serde(flatten)]
        deployed: Deployed,
        /// The hooks to which a rule binds the policy.
        rules: Vec<&'static str>,
    },
    /// For what changed a flag.
    Done,
}

/// A policy in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    #[serde(flatten)]
    status: PolicyStatus,
    /// The rules that it cannot serve, and why.
    problems: Vec<String>,
}

/// Carries commands out.
#[derive(Clone)]
pub(crate) struct Manager {
    policies: Arc<Policies>,
}

impl Manager {
    pub(crate) fn new(policies: Arc<Policies>) -> Self {
        Self { policies }
    }

    /// Blocks for as long as a component compiles: call it on a thread that may.
    pub(crate) fn carry_out(
        &self,
        request: Request,
        component: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Reply, String> {
        let library = self.policies.library();
        let (name, result) = match request {
            Request::List => return Ok(Reply::Policies(self.list())),
            Request::Deploy { name, shadow } => {
                let deployed = library.deploy(&name, component, signature, shadow);
                (name, deployed.map(|deployed| self.deployed(deployed)))
            }
            Request::Promote { name } => {
                let promoted = library.promote(&name);
                (name, promoted.map(|deployed| self.deployed(deployed)))
            }
            Request::Rollback { name } => {
                let back = library.rollback(&name);
                (name, back.map(|deployed| self.deployed(deployed)))
            }
            Request::Disable { name } => {
                let done = library.disable(&name).map(|()| Reply::Done);
                (name, done)
            }
            Request::Enable { name } => {
                let back = library.enable(&name);
                (name, back.map(|deployed| self.deployed(deployed)))
            }
        };
        match result {
            Ok(reply) => {
                let policy = name.as_str();
                self.policies.figures.begin(policy);
                self.policies.figures.revised(policy, "ok");
                match &reply {
                    Reply::Deployed { deployed, .. } => tracing::info!(
                        policy, revision = %deployed.revision, shadow = deployed.shadow, "a revision took its place"
                    ),
                    _ => tracing::info!(policy, "a policy was taken out of force"),
                }
                Ok(reply)
            }
            Err(error) => {
                count_refused(&self.policies, &name);
                tracing::warn!(policy = name, "a command about its revision was refused: {error}");
                Err(error.to_string())
            }
        }
    }

    fn deployed(&self, deployed: Deployed) -> Reply {
        let rules = self.policies.hooks_of(&deployed.name);
        Reply::Deployed { deployed, rules }
    }

    fn list(&self) -> Vec<Listed> {
        let problems = self.policies.problems();
        let listed = |status: PolicyStatus| Listed {
            problems: problems
                .iter()
                .filter(|(rule, _)| rule.policy == status.name)
                .map(|(rule, problem)| format!("{}: {problem}", rule.hook.as_str()))
                .collect(),
            status,
        };
        self.policies.library().status().into_iter().map(listed).collect()
    }
}

/// Looks at the folder again and again, until the policies are gone, and keeps the log of decisions short.
pub(crate) fn watch(policies: &Arc<Policies>) -> std::io::Result<()> {
    let policies: Weak<Policies> = Arc::downgrade(policies);
    std::thread::Builder::new()
        .name("policy-folder".to_owned())
        .spawn(move || {
            let mut looks = 0_u32;
            while let Some(policies) = policies.upgrade() {
                looks = (looks + 1) % LOOKS_PER_TIDYING;
                if looks == 0 {
                    policies.forget_old_decisions();
                }
                let library = policies.library();
                for change in library.scan() {
                    announce(&policies, &change);
                }
                for notice in library.notices() {
                    tracing::warn!("{notice}");
                }
                drop(policies);
                std::thread::sleep(EVERY);
            }
        })?;
    Ok(())
}

/// Tells the operator what became of a file.
fn announce(policies: &Policies, change: &Change) {
    let policy = change.name.as_str();
    match &change.what {
        Changed::Added { to } | Changed::Shipped { to } => {
            tracing::info!(policy, revision = %to, "a policy is in force");
        }
        Changed::Replaced { from, to } => {
            tracing::info!(policy, %from, revision = %to, "a policy was replaced")
        }
        Changed::Removed => tracing::warn!(policy, "a policy's file is gone, and it with it"),
        Changed::Refused { reason, keeps } => {
            let kept = keeps.map_or("nothing answers in its name".to_owned(), |revision| {
                format!("revision {revision} stays in force")
            });
            tracing::error!(policy, "a policy's file is refused: {reason}; {kept}");
        }
    }
    match &change.what {
        Changed::Refused { .. } => count_refused(policies, policy),
        _ => {
            policies.figures.begin(policy);
            policies.figures.revised(policy, "ok");
        }
    }
}

/// Counts a revision that did not come into force, by its policy if that is in force or a rule names it.
fn count_refused(policies: &Policies, policy: &str) {
    let known = policies.library().get(policy).is_some() || policies.is_bound(policy);
    let named = if known { policy } else { UNKNOWN };
    policies.figures.revised(named, "refused");
}
