//! Random failures, latencies, edits, restarts and clocks: whatever happens, nobody loses a good
//! certificate, what is due is tried, and the loop never spins.

use proptest::prelude::*;

use super::*;

const NODES: [&str; 3] = ["front", "blue", "green"];

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Down(bool),
    Edit(usize),
    Jump(i64),
    Latency(u64),
    Pass(u64),
    Reissue,
    Reload,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Down),
        3 => (0..edits().len()).prop_map(Step::Edit),
        2 => (-50_i64..50).prop_map(Step::Jump),
        2 => (0_u64..900).prop_map(Step::Latency),
        6 => (1_u64..1_200).prop_map(Step::Pass),
        1 => Just(Step::Reissue),
        1 => Just(Step::Reload),
        1 => Just(Step::Restart),
    ]
}

fn edits() -> Vec<String> {
    vec![
        MESH.to_owned(),
        MESH.replace("authority: ca_1, callers", "authority: ca_1, lifetime: 2h, callers"),
        MESH.replace(
            "authority: ca_1, callers",
            "authority: ca_1, dnsNames: [blue.example], callers",
        ),
        MESH.replace("  green: { authority: ca_2, trust: [ca_1], callers: [front] }\n", ""),
        MESH.replace("trust: [ca_1], backends: [blue]", "trust: [ca_1, ca_2]"),
    ]
}

/// What is remembered of one node from check to check.
#[derive(Default)]
struct Seen {
    leaf: Option<Certificate>,
}

struct Storm {
    world: World,
    mesh: String,
    wanted: Desired,
    is_down: bool,
    latency: Duration,
    seen: HashMap<&'static str, Seen>,
    woke: usize,
    allowed: usize,
}

impl Storm {
    async fn begin() -> Self {
        let world = World::new(MESH).await;
        world.settled().await;
        let seen = NODES.map(|node| (node, Seen::default())).into();
        let (mesh, wanted, latency) = (MESH.to_owned(), mesh(MESH), Duration::ZERO);
        Self { world, mesh, wanted, is_down: false, latency, seen, woke: 0, allowed: 1_000 }
    }

    async fn take(mut self, step: Step) -> Self {
        self.allowed += 200;
        match step {
            Step::Down(down) => {
                self.is_down = down;
                *self.world.fake.is_down.lock().unwrap() = down;
            }
            Step::Edit(which) => {
                self.mesh = edits()[which].clone();
                self.wanted = mesh(&self.mesh);
                self.world.edit(&self.mesh);
            }
            Step::Jump(hours) => self.world.jump(time::Duration::hours(hours)),
            Step::Latency(seconds) => {
                self.latency = Duration::from_secs(seconds);
                *self.world.fake.latency.lock().unwrap() = self.latency;
            }
            Step::Pass(minutes) => {
                for _ in 0..minutes.div_ceil(30) {
                    sleep(Duration::from_secs(30 * 60)).await;
                    // Three nodes, tried again each 120 s at most, and the authorities.
                    self.allowed += 400;
                    self.check();
                }
            }
            Step::Reissue => drop(self.world.handle.commands().reissue(Vec::new()).await),
            Step::Reload => self.world.handle.commands().reload(),
            Step::Restart => {
                self.woke += self.world.counts.woke.load(Ordering::Relaxed);
                self.world = self.world.restart(&self.mesh).await;
                *self.world.fake.is_down.lock().unwrap() = self.is_down;
                *self.world.fake.latency.lock().unwrap() = self.latency;
            }
        }
        self.world.settled().await;
        self.check();
        self
    }

    fn check(&mut self) {
        let now = self.world.clock.now();
        for (node, seen) in &mut self.seen {
            if !self.wanted.identities.contains_key(&name(node)) {
                assert!(self.world.node(node).is_none(), "{node} is forgotten");
                continue;
            }
            let leaf = self.world.leaf(node);
            let Some(before) = &seen.leaf else {
                seen.leaf = leaf;
                continue;
            };
            let leaf = leaf.unwrap_or_else(|| panic!("{node} lost its certificate"));
            if leaf != *before {
                let was_good = before.validity().contains(now);
                let is_good = leaf.validity().contains(now);
                assert!(is_good || !was_good, "{node} got a worse certificate at {now}");
            }
            seen.leaf = Some(leaf);
        }
        let woke = self.woke + self.world.counts.woke.load(Ordering::Relaxed);
        assert!(woke < self.allowed, "woke {woke} times of {} at {now}", self.allowed);
    }

    /// With the signer up again and the clock right, all is well before long.
    async fn calm(mut self) {
        self.world.jump(time::Duration::days(3) + (BEGAN - self.world.clock.now()));
        self = self.take(Step::Down(false)).await;
        self = self.take(Step::Latency(0)).await;
        sleep(HOUR).await;
        for node in self.world.status().await.nodes {
            assert_eq!(node.state, NodeState::Fresh, "{node:?}");
            assert!(node.certificate.unwrap().validity.contains(self.world.clock.now()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTCTL_SOAK").is_some() {
        500
    } else {
        8
    }))]

    #[test]
    fn a_storm_takes_nothing_that_is_good_and_passes(
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut storm = Storm::begin().await;
            for step in steps {
                storm = storm.take(step).await;
            }
            storm.calm().await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_due_is_tried_before_it_ends_however_slow_the_signer() {
    for latency in [0, 60, 900] {
        let world = World::new(MESH).await;
        world.leaf_after("front", None).await;
        let due = world.clock.moment().instant_of(world.due("front").await);
        let end = world.clock.moment().instant_of(BEGAN + time::Duration::DAY);
        *world.fake.latency.lock().unwrap() = Duration::from_secs(latency);
        *world.fake.is_down.lock().unwrap() = true;
        tokio::time::sleep_until(end).await;
        let attempts = world.fake.attempts("front");
        let in_time: Vec<_> = attempts.iter().filter(|at| **at >= due && **at < end).collect();
        // Each took so long, and the next came within three minutes of its end.
        let least = (end - due).as_secs() / (latency + 181);
        assert!(in_time.len() as u64 >= least, "{} of {least}", in_time.len());
        assert!(end - **in_time.last().unwrap() <= Duration::from_secs(latency + 181));
        // Its timers would let time pass while the next one opens its directory.
        world.handle.shutdown().await.unwrap();
    }
}
