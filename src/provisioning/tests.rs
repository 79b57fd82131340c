//! A key and its certificate from AWS, whatever comes between.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::acm_pca::testing::{Act, Called, Fake, Lie, NOW, pool_at, profile};
use crate::acm_pca::{Pool, RemoteAuthority, Urgency};
use crate::identity::NodeName;
use crate::store::audit::Audit;
use crate::time::Clock;

#[derive(Debug, Default)]
struct Memory(Mutex<Option<Vec<u8>>>);

impl Memory {
    fn bytes(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl Pendings for Memory {
    fn load(&self, _: &NodeName) -> Result<Option<Zeroizing<Vec<u8>>>, KeepError> {
        Ok(self.bytes().map(Zeroizing::new))
    }
    fn keep(&self, _: &NodeName, bytes: &[u8]) -> Result<(), KeepError> {
        *self.0.lock().unwrap() = Some(bytes.to_vec());
        Ok(())
    }
    fn forget(&self, _: &NodeName) -> Result<(), KeepError> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

/// One node of a process that can be begun anew.
struct World {
    fake: Arc<Fake>,
    clock: Clock,
    pendings: Arc<Memory>,
    node: NodeName,
    profile: LeafProfile,
    held: Option<Vec<u8>>,
    state: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            fake: Fake::new("us-east-2"),
            clock: Clock::simulated(NOW).0,
            pendings: Arc::default(),
            node: NodeName::parse("front").unwrap(),
            profile: profile("front"),
            held: None,
            state: tempfile::tempdir().unwrap(),
        }
    }

    /// What a new process makes of it.
    async fn provision(&self) -> Result<Credential, ProvisioningError> {
        let (pool, authority) = pool_at(&[&self.fake], self.clock.clone());
        self.provision_with(&pool, &authority).await
    }

    async fn provision_with(
        &self,
        pool: &Pool,
        authority: &RemoteAuthority,
    ) -> Result<Credential, ProvisioningError> {
        let request = RemoteRequest {
            node: &self.node,
            authority,
            profile: &self.profile,
            algorithm: KeyAlgorithm::EcP256,
            held_spki: self.held.as_deref(),
            state: self.state.path(),
        };
        let pendings: Arc<dyn Pendings> = self.pendings.clone();
        provision_remotely(pool, &request, &Urgency::awaited(), pendings).await
    }

    fn counts(&self) -> (usize, usize) {
        (self.fake.count(Called::Issue), self.fake.paid())
    }
}

#[tokio::test(start_paused = true)]
async fn cut_off_at_any_moment_the_next_process_fetches_what_was_paid_for() {
    for millis in (0..1_000).step_by(9) {
        let world = World::new();
        let cut = tokio::time::timeout(Duration::from_millis(millis), world.provision()).await;
        let credential = match cut {
            Ok(made) => made.unwrap(),
            Err(_) => world.provision().await.unwrap(),
        };
        assert_eq!(world.fake.paid(), 1, "cut off after {millis} ms");
        assert_eq!(credential.key().public().spki(), credential.leaf().spki());
    }
}

#[tokio::test(start_paused = true)]
async fn until_the_credential_is_saved_the_same_one_comes_again() {
    let mut world = World::new();
    let first = world.provision().await.unwrap();
    let again = world.provision().await.unwrap();
    assert_eq!(first.leaf(), again.leaf());
    assert_eq!(world.counts(), (1, 1));
    world.held = Some(first.leaf().spki().to_vec());
    let renewed = world.provision().await.unwrap();
    assert_ne!(renewed.leaf(), first.leaf(), "what is saved already is no renewal");
    assert_eq!(world.counts(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_any_more_is_not_fetched() {
    let mut world = World::new();
    world.fake.next_gets([Act::Denied]);
    world.provision().await.unwrap_err();
    world.profile = profile("other");
    let made = world.provision().await.unwrap();
    assert_eq!(made.leaf().common_name(), Some("other.example.org"));
    assert_eq!(world.counts(), (2, 2));

    let mut world = World::new();
    world.fake.next_gets([Act::Denied]);
    world.provision().await.unwrap_err();
    world.fake = Fake::new("eu-west-1");
    world.provision().await.unwrap();
    assert_eq!(world.counts(), (1, 1), "another CA is the authority's now");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_pending_is_told_of_and_given_up() {
    let world = World::new();
    world.fake.next_gets([Act::Denied]);
    world.provision().await.unwrap_err();
    let whole = String::from_utf8(world.pendings.bytes().unwrap()).unwrap();
    assert!(Pending::from_json(whole.as_bytes()).is_ok());
    let secret = whole.split("PRIVATE KEY-----\\n").nth(1).unwrap()[..20].to_owned();
    for (damaged, words) in [
        (whole[..whole.len() / 2].to_owned(), "no JSON of the shape"),
        (whole.replace("\"version\":1", "\"version\":2"), "version 2"),
        (whole.replace(&secret, "????"), "PEM"),
        (whole.replace("arn:aws:acm-pca", "arn:aws:acm"), "ARN"),
        (whole.replace("firstSent\":\"2026", "firstSent\":\"x026"), "no moment"),
        (String::new(), "no JSON of the shape"),
    ] {
        let error = Pending::from_json(damaged.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&secret), "{shown}");
        world.pendings.keep(&world.node, damaged.as_bytes()).unwrap();
        world.provision().await.unwrap();
        let pending = Pending::from_json(&world.pendings.bytes().unwrap()).unwrap();
        assert!(!format!("{pending:?}").contains(&secret));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_for_and_not_used_is_in_the_record_all_the_same() {
    let mut world = World::new();
    world.fake.next_issues([Act::Lie(Lie::Key)]);
    let error = world.provision().await.unwrap_err().to_string();
    assert!(error.contains("is refused"), "{error}");
    world.fake.next_gets([Act::Denied]);
    world.provision().await.unwrap_err();
    world.profile = profile("other");
    world.provision().await.unwrap();
    let record: Vec<_> = Audit::read(world.state.path()).unwrap().map(Result::unwrap).collect();
    let unused: Vec<_> = record.iter().map(|entry| entry.is_unused).collect();
    assert_eq!(unused, [true, true, false], "refused, not wanted any more, and good");
    assert_eq!(record.len(), world.fake.paid());
    assert!(record.iter().all(|entry| entry.ca_arn() == world.fake.ca.arn.as_str()));
}

#[tokio::test(start_paused = true)]
async fn what_aws_has_refused_is_not_kept() {
    let world = World::new();
    world.fake.next_issues([Act::Refuse]);
    let error = world.provision().await.unwrap_err().to_string();
    assert!(error.contains("AWS refuses the request"), "{error}");
    assert_eq!(world.pendings.bytes(), None);
}
