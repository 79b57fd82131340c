//! What issuing in memory costs beside the cryptography that it cannot do without.
//!
//! Ours: a new P-256 key, its certificate signed under the profile, parsed back, held to what was
//! asked for, its chain verified by rustls-webpki; PEM is left out. The floor: aws-lc-rs alone
//! makes a key, signs a message as long as a certificate's body, and verifies the signature, once
//! each.
//! Rounds of both alternate, so that a machine that slows down slows both.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to tell")]

use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use certctl::authority::Authority;
use certctl::desired::LocalAuthority;
use certctl::identity::{AuthorityName, DnsName, SpiffeId};
use certctl::provisioning::provision;
use certctl::time::{Clock, Lifetime, OffsetDateTime};
use certctl::x509::certificate::Certificate;
use certctl::x509::credential::Chain;
use certctl::x509::key::{KeyAlgorithm, PrivateKey};
use certctl::x509::profile::{LeafProfile, Subject};

const ROUNDS: usize = 20;
/// In one round, on each thread: 10,000 in all.
const LEAVES: usize = 500;
const CLOCK_SKEW: Duration = Duration::from_secs(300);

fn main() {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let ours = Issuing::new();
    let floor = Floor::new();
    println!("P-256 leaves issued and verified in memory, {} on each thread", ROUNDS * LEAVES);
    println!("{:>8} {:>14} {:>14} {:>14}", "threads", "floor per s", "ours per s", "share");
    let mut alone = None;
    for threads in [1, cores] {
        let (mut floors, mut rates, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let floor = rate(threads, || floor.once());
            let ours = rate(threads, || ours.once());
            floors.push(floor);
            rates.push(ours);
            shares.push(ours / floor);
        }
        let (floor, rate) = (median(&mut floors), median(&mut rates));
        let share = 100.0 * median(&mut shares);
        println!("{threads:>8} {floor:>14.0} {rate:>14.0} {share:>13.0}%");
        let (single_floor, single_rate) = *alone.get_or_insert((floor, rate));
        if threads > 1 {
            let (floor, ours) = (floor / single_floor, rate / single_rate);
            println!(
                "{threads} threads issue {ours:.2} times what one does; the floor: {floor:.2}"
            );
        }
    }
    ours.print_steps();
}

struct Floor {
    issuer: EcdsaKeyPair,
    random: SystemRandom,
    message: [u8; 480],
}

impl Floor {
    fn new() -> Self {
        Self { issuer: new_pair(), random: SystemRandom::new(), message: [7; 480] }
    }

    fn once(&self) -> usize {
        let leaf = new_pair();
        let signature = self.issuer.sign(&self.random, &self.message).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.issuer.public_key())
            .verify(&self.message, signature.as_ref())
            .unwrap();
        leaf.public_key().as_ref().len()
    }
}

fn new_pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
}

struct Issuing {
    authority: Authority,
    profile: LeafProfile,
    now: OffsetDateTime,
}

impl Issuing {
    fn new() -> Self {
        let now = Clock::system().now();
        let wanted = LocalAuthority {
            subject: Subject { common_name: Some("ca_1".to_owned()), ..Subject::default() },
            key_algorithm: KeyAlgorithm::EcP256,
            lifetime: Lifetime::days(3650),
            parent: None,
            passphrase_file: None,
        };
        let key = PrivateKey::generate(wanted.key_algorithm).unwrap();
        let root = Authority::make_root(&wanted, CLOCK_SKEW, &key, now).unwrap();
        let name = AuthorityName::parse("ca_1").unwrap();
        let profile = LeafProfile {
            spiffe_id: SpiffeId::parse("spiffe://example.org/front").unwrap(),
            dns_names: vec![DnsName::parse("front.default.svc.cluster.local").unwrap()],
            lifetime: Lifetime::hours(24),
            clock_skew: CLOCK_SKEW,
        };
        Self { authority: Authority::new(name, key, vec![root]).unwrap(), profile, now }
    }

    /// What one leaf costs, step by step, on one thread.
    fn print_steps(&self) {
        let Self { authority, profile, now } = self;
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let validity = profile.validity(*now, authority.validity()).unwrap();
        let leaf = authority.sign(profile, key.public(), validity).unwrap();
        let issuers = authority.issuers();
        let wanted = (profile, key.public(), validity);
        let accept = || {
            let (leaf, issuers) = (leaf.clone(), issuers.to_vec());
            Chain::accept(leaf, issuers, wanted, authority.roots(), *now).unwrap()
        };
        let chain = accept();
        let steps: [(&str, &(dyn Fn() -> usize + Sync)); 5] = [
            ("make the key", &|| {
                PrivateKey::generate(KeyAlgorithm::EcP256).unwrap().public().spki().len()
            }),
            ("sign and parse", &|| {
                authority.sign(profile, key.public(), validity).unwrap().der().len()
            }),
            ("of that, parse", &|| Certificate::from_der(leaf.der().clone()).unwrap().der().len()),
            ("check and verify", &|| accept().issuers().len()),
            ("to PEM, not counted above", &|| key.to_pem().len() + chain.to_pem().len()),
        ];
        println!();
        println!("{:<28} {:>10}", "one leaf, one thread", "us");
        for (step, work) in steps {
            let mut rates: Vec<f64> = (0..ROUNDS).map(|_| rate(1, work)).collect();
            println!("{step:<28} {:>10.1}", 1e6 / median(&mut rates));
        }
    }

    fn once(&self) -> usize {
        let credential =
            provision(&self.authority, &self.profile, KeyAlgorithm::EcP256, self.now).unwrap();
        credential.leaf().der().len()
    }
}

/// How many times a second `work` is done on so many threads together.
fn rate(threads: usize, work: impl Fn() -> usize + Sync) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..LEAVES {
                    std::hint::black_box(work());
                }
            });
        }
    });
    (threads * LEAVES) as f64 / start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
