//! A proxy's peers in the mesh file: whom it trusts, who calls it, whom it calls.

use std::collections::BTreeSet;

use super::super::Note;
use super::super::authorities::list;
use super::super::graph::Edge;
use super::super::resources::{ListenerTls, Proxy, Validation};
use super::super::write::{BackendText, ProxyText};
use super::Translator;
use crate::identity::SpiffeId;

impl Translator<'_> {
    pub(super) fn trust(&mut self, number: usize, text: &mut ProxyText) {
        let proxy = &self.graph.proxies[number];
        let client = self.client_trust(number);
        let listeners: Vec<(Option<u16>, &ListenerTls)> = proxy
            .spec
            .listeners
            .iter()
            .filter_map(|listener| Some((listener.port, listener.tls.as_ref()?)))
            .collect();
        let accepted = |tls: &ListenerTls| {
            self.authorities.accepted(tls.validation.as_ref()).map(<[_]>::to_vec)
        };
        let sets: BTreeSet<Option<Vec<String>>> =
            listeners.iter().map(|(_, tls)| accepted(tls)).collect();
        let listener = self.in_order(sets.iter().flatten().flatten());
        if sets.len() > 1 {
            let each = listeners.iter().map(|(port, tls)| {
                let port = port.map_or_else(|| "?".to_owned(), |port| port.to_string());
                match accepted(tls) {
                    Some(set) => format!("port {port} {}", list(&set)),
                    None => format!("port {port} anyone"),
                }
            });
            let each = each.collect::<Vec<_>>().join(", ");
            text.listener.remark(format!(
                "CHOOSE: its listeners accept different clients ({each}); certctl knows one \
                 listener for each node, so this is all of them together."
            ));
            self.note(number, format!("the listeners of {} differ: {each}", text.name));
        } else if !listeners.is_empty() && listener.is_none() {
            text.trust
                .remark("Its listener asks for no client certificate in App Mesh (one-way TLS).");
        }
        let has_backends = self.graph.edges.iter().any(|edge| edge.client == number);
        match (client, listener) {
            (Some(client), Some(listener)) if client != listener => {
                text.trust.value = Some(client);
                text.listener.value.trust = Some(listener);
            }
            // What it accepts of servers is then what its backends are signed by.
            (None, Some(listener)) if has_backends => text.listener.value.trust = Some(listener),
            (Some(client), None) => {
                text.listener.value.trust = self.clients_trust(number, &client);
                text.trust.value = Some(client);
            }
            (None, None) => {
                let only = || self.authorities.only().map(String::as_str);
                let own = self.signers[number].authority().or_else(only).map(str::to_owned);
                let wanted = self.clients_trust(number, own.as_slice());
                text.listener.value.trust = wanted;
            }
            (client, listener) => text.trust.value = client.or(listener),
        }
        let permissive = listeners.iter().filter(|(_, tls)| tls.permissive).count();
        if permissive > 0 {
            text.listener.value.permissive = true;
            if permissive < listeners.len() {
                text.listener.remark("CHOOSE: only some of its listeners are PERMISSIVE.");
            }
        }
    }

    /// Who signs the clients of a listener that asks none of them for a certificate: what it has to
    /// accept now that it does ask. None where `accepted` is enough for that.
    fn clients_trust(&self, number: usize, accepted: &[String]) -> Option<Vec<String>> {
        self.graph.proxies[number].listener_tls().next()?;
        let clients = self.graph.clients(number).into_iter().filter(|c| self.included[*c]);
        let signers = clients.filter_map(|client| self.signers[client].authority());
        let wanted: Vec<String> = signers.map(str::to_owned).collect();
        let enough = wanted.iter().all(|signer| accepted.contains(signer));
        if enough { None } else { self.in_order(wanted.iter()) }
    }

    /// What it accepts of servers: by its default policy, or by all of its policies alike.
    fn client_trust(&self, number: usize) -> Option<Vec<String>> {
        let spec = &self.graph.proxies[number].spec;
        let default = spec.backend_defaults.as_ref();
        if let Some(default) = default {
            return self.authorities.accepted(default.validation.as_ref()).map(<[_]>::to_vec);
        }
        let sets: BTreeSet<_> = self.graph.proxies[number]
            .client_tls()
            .filter_map(|tls| self.authorities.accepted(tls.validation.as_ref()))
            .collect();
        self.in_order(sets.into_iter().flatten())
    }

    /// The authorities among `names`, once each and in the mesh's order; none for no names.
    fn in_order<'b>(&self, names: impl Iterator<Item = &'b String>) -> Option<Vec<String>> {
        let wanted: BTreeSet<&String> = names.collect();
        let all = self.authorities.all.keys();
        (!wanted.is_empty()).then(|| all.filter(|name| wanted.contains(name)).cloned().collect())
    }

    pub(super) fn callers(&mut self, number: usize, text: &mut ProxyText) {
        let validations: Vec<Option<&Validation>> =
            self.graph.proxies[number].listener_tls().map(|tls| tls.validation.as_ref()).collect();
        // A listener that takes anyone makes the node take anyone.
        let names: Option<Vec<&String>> = validations
            .iter()
            .map(|validation| validation.and_then(|v| v.names.as_ref()))
            .collect::<Option<Vec<_>>>()
            .map(|lists| lists.into_iter().flatten().collect());
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            return;
        };
        let mut callers: Vec<String> = Vec::new();
        for name in names {
            let found = self.meant(name, self.graph.clients(number));
            let mut unknown = found.is_empty();
            for caller in found {
                if !self.included[caller] {
                    unknown = self.graph.sds_id(caller).is_some();
                    if !unknown {
                        text.callers.remark(format!(
                            "{name} is {}, which uses no TLS.",
                            self.graph.names[caller]
                        ));
                    }
                } else if !callers.contains(&self.graph.names[caller]) {
                    callers.push(self.graph.names[caller].clone());
                }
            }
            if unknown {
                match SpiffeId::parse(name) {
                    Ok(id) if *id.trust_domain() != self.identities.domain => {
                        let id = id.to_string();
                        if !callers.contains(&id) {
                            callers.push(id);
                        }
                    }
                    _ => {
                        text.callers.remark(format!(
                            "CHOOSE: {name} may call it, but no node has that name."
                        ));
                        let message =
                            format!("{} expects the caller {name}, which no node is", text.name);
                        self.note(number, message);
                    }
                }
            }
        }
        text.callers.value = Some(callers);
    }

    pub(super) fn backends(&mut self, number: usize, text: &mut ProxyText) {
        for (_, lost) in self.graph.lost.iter().filter(|(client, _)| *client == number) {
            text.backends.remark(format!("CHOOSE: {lost}."));
            self.notes.push(Note::at(
                self.graph.proxies[number].origin,
                format!("{}: {lost}", text.name),
            ));
        }
        let edges: Vec<Edge<'_>> =
            self.graph.edges.iter().copied().filter(|edge| edge.client == number).collect();
        let mut backends = Vec::new();
        for edge in &edges {
            backends.extend(self.backend(edge, text));
        }
        if edges.is_empty() || self.graph.lost.iter().any(|(client, _)| *client == number) {
            // Where services cannot be followed, the names that it expects are all there is.
            for validation in
                self.graph.proxies[number].client_tls().filter_map(|t| t.validation.as_ref())
            {
                for name in validation.names.iter().flatten() {
                    let found = self.meant(name, BTreeSet::new());
                    if found.is_empty() {
                        text.backends.remark(format!(
                            "CHOOSE: it expects {name}, but no node has that name."
                        ));
                    }
                    for server in found.into_iter().filter(|server| self.included[*server]) {
                        let name = self.graph.names[server].clone();
                        if server != number
                            && !backends.iter().any(|b: &BackendText| b.name == name)
                        {
                            backends.push(BackendText { name, ..BackendText::default() });
                        }
                    }
                }
            }
        }
        if !backends.is_empty() {
            text.backends.value = Some(backends);
        }
        let loose = self.graph.proxies[number].client_tls().any(|tls| !tls.enforce);
        if loose {
            text.backends.remark(
                "CHOOSE: `enforce: false` let it fall back to plain text in App Mesh; certctl \
                 describes only calls with TLS.",
            );
        }
    }

    fn backend(&mut self, edge: &Edge<'_>, text: &mut ProxyText) -> Option<BackendText> {
        let server = &self.graph.proxies[edge.server];
        let name = &self.graph.names[edge.server];
        if !self.included[edge.server] {
            if edge.policy.is_some_and(|policy| policy.enforce)
                && self.graph.sds_id(edge.server).is_none()
            {
                text.backends.remark(format!(
                    "It insists on TLS, but its backend {name} has none: those calls fail in App \
                     Mesh, too."
                ));
            }
            return None;
        }
        let mut backend = BackendText { name: name.clone(), ..BackendText::default() };
        let tls_ports = tls_ports(server);
        backend.port = match tls_ports.as_slice() {
            [port] => Some(*port),
            _ => None,
        };
        if let Some(policy) = edge.policy {
            match policy.ports.as_slice() {
                [] => {}
                [port] if tls_ports.is_empty() || tls_ports.contains(port) => {
                    backend.port = Some(*port);
                }
                ports => {
                    let listed: Vec<_> = ports.iter().map(u16::to_string).collect();
                    let listed = listed.join(", ");
                    backend
                        .remarks
                        .push(format!("In App Mesh, TLS is for the ports {listed} alone."));
                }
            }
            let validation = policy.validation.as_ref();
            if let Some(expected) = validation.and_then(|v| v.names.as_ref())
                && !expected
                    .iter()
                    .any(|name| self.meant(name, self.scope(edge)).contains(&edge.server))
            {
                text.backends.remark(format!(
                    "CHOOSE: {name} is behind one of its backends, but has none of the names that \
                     it expects ({}), so App Mesh refuses it.",
                    expected.join(", ")
                ));
                return None;
            }
            let accepted = self.authorities.accepted(validation).map(<[_]>::to_vec);
            if edge.own_policy && accepted.is_some() && accepted != text.trust.value {
                backend.trust = self.in_order(accepted.iter().flatten());
            }
        } else if server.listener_tls().next().is_some() {
            backend.remarks.push("No policy for TLS: App Mesh does not check it.".to_owned());
        }
        Some(backend)
    }

    /// The servers that the policy of `edge` is for.
    fn scope(&self, edge: &Edge<'_>) -> BTreeSet<usize> {
        let same = |e: &&Edge<'_>| {
            e.client == edge.client
                && match (e.policy, edge.policy) {
                    (Some(a), Some(b)) => std::ptr::eq(a, b),
                    _ => false,
                }
        };
        self.graph.edges.iter().filter(same).map(|e| e.server).collect()
    }

    /// The proxies that a SAN stands for, `near` being those that it can only mean here.
    fn meant(&self, name: &str, near: BTreeSet<usize>) -> Vec<usize> {
        let (found, _) = self.graph.named(name);
        if !found.is_empty() {
            return found;
        }
        near.into_iter().filter(|proxy| self.identities.was_given(*proxy, name)).collect()
    }
}

/// The ports of the listeners that use TLS; all of them where none does.
fn tls_ports(proxy: &Proxy) -> Vec<u16> {
    let serves = proxy.listener_tls().next().is_some();
    let with_tls = proxy.spec.listeners.iter().filter(|l| !serves || l.tls.is_some());
    with_tls.filter_map(|listener| listener.port).collect()
}
