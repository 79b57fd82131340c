//! What is wrong, in words and in order: what an operator reads first.

use super::{NodeState, Recipient, SecretState, Status};

impl Status {
    /// Puts in words what is wrong: what cuts connections first, then what will, then what is
    /// known besides.
    pub fn with_problems(mut self, besides: Vec<String>) -> Self {
        self.problems = self.found();
        self.problems.extend(besides);
        self
    }

    /// The nodes that have nothing valid to show, by name.
    pub fn without_valid_credential(&self) -> impl Iterator<Item = &str> {
        let lacking = |state, has: bool| state == NodeState::Expired || !has;
        self.nodes
            .iter()
            .filter(move |node| lacking(node.state, node.certificate.is_some()))
            .map(|node| node.name.as_str())
    }

    fn found(&self) -> Vec<String> {
        let of = |state| self.nodes.iter().filter(move |node| node.state == state);
        let reason = |node: &super::Node| {
            node.failure.as_ref().map(|failure| format!(": {}", failure.reason)).unwrap_or_default()
        };
        let expired = of(NodeState::Expired).map(|node| {
            let end = node.certificate.as_ref().map(|c| format!(" at {}", c.not_after));
            let end = end.unwrap_or_default();
            format!("{}: its certificate ended{end} and is served on{}", node.name, reason(node))
        });
        let rejected = self.recipients.iter().flat_map(|recipient| {
            let rejected =
                recipient.secrets.iter().filter(|secret| secret.state == SecretState::Rejected);
            rejected.map(|secret| {
                let why = secret.rejected.as_deref().unwrap_or("it does not say why");
                format!("{}: rejected {}: {why}", recipient.called(), secret.name)
            })
        });
        let failed = of(NodeState::Failed).map(|node| {
            let what =
                if node.certificate.is_some() { "cannot be renewed" } else { "has no certificate" };
            format!("{}: {what}{}", node.name, reason(node))
        });
        let silent = self.authorities.iter().filter(|one| !one.can_sign && !one.trust_only);
        let silent =
            silent.map(|authority| format!("{}: cannot sign: {}", authority.name, authority.state));
        let mesh = self.mesh.problem.iter().map(|problem| {
            format!("{}: not in force as it stands: {}", self.mesh.path, problem.text.trim_end())
        });
        let files = self.files.iter().filter_map(|files| {
            let problem = files.problem.as_ref()?;
            Some(format!("{}: cannot be written: {problem}", files.directory))
        });
        let forced = self.transitions.iter().filter_map(|transition| {
            let left = transition.forced.as_ref()?;
            Some(format!(
                "{}: {}, without waiting any longer: {left}",
                transition.node, transition.what
            ))
        });
        expired
            .chain(rejected)
            .chain(failed)
            .chain(silent)
            .chain(mesh)
            .chain(files)
            .chain(forced)
            .collect()
    }
}

impl Recipient {
    /// What to call it: its own name for itself, or else who it is.
    pub fn called(&self) -> &str {
        if self.node_id.is_empty() { &self.caller_in_short } else { &self.node_id }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Authority, Certificate, Failure, MeshProblem, Node, Secret};
    use super::*;

    fn node(name: &str, state: NodeState) -> Node {
        let certificate = Some(Certificate {
            not_after: "2026-11-21T12:00:00Z".to_owned(),
            ..Certificate::default()
        });
        let failure = matches!(state, NodeState::Expired | NodeState::Failed)
            .then(|| Failure { reason: "ca_1 cannot sign".to_owned(), ..Failure::default() });
        Node { name: name.to_owned(), state, certificate, failure, ..Node::default() }
    }

    #[test]
    fn a_status_in_which_all_is_well_names_no_problem() {
        let authority = Authority { can_sign: true, ..Authority::default() };
        let partner = Authority { trust_only: true, ..Authority::default() };
        let status = Status {
            nodes: vec![node("front", NodeState::Fresh), node("blue", NodeState::Issuing)],
            authorities: vec![authority, partner],
            ..Status::default()
        };
        assert!(status.clone().with_problems(Vec::new()).problems.is_empty());
        assert_eq!(status.without_valid_credential().count(), 0);
    }

    #[test]
    fn what_cuts_connections_is_named_before_what_will() {
        let secret = Secret {
            name: "default".to_owned(),
            state: SecretState::Rejected,
            rejected: Some("Failed to load".to_owned()),
            ..Secret::default()
        };
        let mut first = node("green", NodeState::Failed);
        first.certificate = None;
        let status = Status {
            nodes: vec![node("blue", NodeState::Failed), node("front", NodeState::Expired), first],
            authorities: vec![Authority {
                name: "ca_1".to_owned(),
                state: "its key is missing".to_owned(),
                ..Authority::default()
            }],
            recipients: vec![Recipient {
                node_id: "envoy-1".to_owned(),
                secrets: vec![secret],
                ..Recipient::default()
            }],
            mesh: super::super::Mesh {
                path: "mesh.yaml".to_owned(),
                problem: Some(MeshProblem { text: "line 3\n".to_owned(), since: String::new() }),
                ..super::super::Mesh::default()
            },
            ..Status::default()
        };
        assert_eq!(status.without_valid_credential().collect::<Vec<_>>(), ["front", "green"]);
        assert_eq!(
            status.with_problems(vec!["and".to_owned()]).problems,
            [
                "front: its certificate ended at 2026-11-21T12:00:00Z and is served on: ca_1 cannot sign",
                "envoy-1: rejected default: Failed to load",
                "blue: cannot be renewed: ca_1 cannot sign",
                "green: has no certificate: ca_1 cannot sign",
                "ca_1: cannot sign: its key is missing",
                "mesh.yaml: not in force as it stands: line 3",
                "and",
            ]
        );
    }
}
