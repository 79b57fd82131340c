//! What happens as time goes by: the library's own run at chosen moments, since no one can set the
//! program's clock.

use std::path::Path;

use certctl::desired::Desired;
use certctl::desired::mesh_file::MeshFile;
use certctl::files::Layout;
use certctl::hierarchy::signer;
use certctl::identity::AuthorityName;
use certctl::issue::{Action, Order, Progress, Report};
use certctl::time::{Clock, OffsetDateTime};
use certctl::x509::certificate::Certificate;

use crate::support::site::{Site, mesh};

struct Silence;

impl Progress for Silence {
    fn waiting(&self, _: &Path) {}
    fn made(&self, _: usize, _: usize) {}
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A mesh whose runs happen at moments that a test chooses, counted in seconds from its beginning.
struct Years {
    site: Site,
    start: OffsetDateTime,
}

impl Years {
    fn of(authorities: &str, nodes: &str) -> Self {
        Self { site: Site::of(authorities, nodes), start: Clock::system().now() }
    }

    fn desired(&self) -> Desired {
        MeshFile::read(&self.site.path("mesh.yaml"), &self.site.read("mesh.yaml")).unwrap().desired
    }

    fn at(&self, seconds: i64) -> Report {
        let certs = self.site.path("certs");
        let order = Order {
            desired: &self.desired(),
            output: &certs,
            state: &certs,
            layout: Layout::Flat,
            force: &[],
            now: self.moment(seconds),
            remote: None,
        };
        order.carry_out(&Silence).unwrap()
    }

    fn moment(&self, seconds: i64) -> OffsetDateTime {
        self.start + time::Duration::seconds(seconds)
    }

    fn certificate(&self, name: &str) -> Certificate {
        let text = self.site.read(&format!("certs/{name}_cert.pem"));
        Certificate::all_from_pem(&text).unwrap().remove(0)
    }

    /// openssl verifies a node's chain as of a moment.
    fn verifies(&self, root: &str, node: &str, seconds: i64) {
        self.site.run(&format!(
            "verify -attime {} -CAfile certs/{root}_cert.pem -untrusted \
             certs/{node}_cert_chain.pem certs/{node}_cert.pem",
            self.moment(seconds).unix_timestamp()
        ));
    }
}

fn node(report: &Report, name: &str) -> (Action, String) {
    let line = report.nodes.iter().find(|line| line.name == name).unwrap();
    (line.action, line.reason.clone().unwrap_or_default())
}

fn authority(report: &Report, name: &str) -> (Action, String) {
    let line = report.authorities.iter().find(|line| line.name == name).unwrap();
    (line.action, line.reason.clone().unwrap_or_default())
}

fn notes(report: &Report) -> String {
    report.notes.join("\n")
}

#[test]
fn hourly_runs_over_a_week_renew_at_half_life_and_are_always_valid() {
    let mesh = Years::of("ca: {}", "a: { authority: ca }, b: { authority: ca }");
    let mut renewals = 0;
    for hour in 0..7 * 24 {
        let report = mesh.at(hour * HOUR);
        assert!(!report.has_failures());
        for name in ["a", "b"] {
            let (action, reason) = node(&report, name);
            if action == Action::Renewed {
                assert!(reason.starts_with("due since "), "{reason}");
                renewals += 1;
            }
            let left = mesh.certificate(name).validity().not_after - mesh.moment(hour * HOUR);
            assert!(left.whole_hours() >= 9, "hour {hour}: {left} left of 24 h");
        }
    }
    // Every 12 to 15 hours: 11 to 13 times in 167 hours, for each of two nodes.
    assert!((22..=28).contains(&renewals), "{renewals}");
    mesh.verifies("ca", "a", 7 * DAY - HOUR);
}

#[test]
fn a_root_close_to_its_end_causes_no_storm_and_is_told() {
    let mesh = Years::of("ca: { local: { lifetime: 21d } }", "a: { authority: ca, lifetime: 10d }");
    let (mut issued, mut told_at, mut failed) = (0, None, 0);
    for hour in 0..23 * 24 {
        let report = mesh.at(hour * HOUR);
        match node(&report, "a").0 {
            Action::Kept => {}
            Action::Failed => failed += 1,
            _ => issued += 1,
        }
        if notes(&report).contains("ca ends in ") {
            told_at.get_or_insert(hour);
            assert!(notes(&report).contains("add another authority, trust it everywhere, then"));
        }
        if hour < 21 * 24 {
            mesh.verifies("ca", "a", hour * HOUR);
        } else if hour > 21 * 24 {
            assert!(notes(&report).contains("ca has ended and can sign nothing"), "{hour}");
            assert!(node(&report, "a").1.contains("the issuer's certificate ended at"));
        }
    }
    // At 0, 5-6, 10-12 days; the one made after day 11 lives as long as the CA.
    assert!((3..=4).contains(&issued), "{issued}");
    assert_eq!(told_at, Some(11 * 24 + 1), "as soon as leaves are cut short");
    assert!((45..=48).contains(&failed), "{failed} failures in the two days after the end");
}

#[test]
fn a_root_with_a_tenth_of_its_life_left_is_told_of() {
    let mesh = Years::of("ca: { local: { lifetime: 1000d } }", "a: { authority: ca }");
    assert_eq!(notes(&mesh.at(0)), "");
    assert_eq!(notes(&mesh.at(899 * DAY)), "");
    assert!(notes(&mesh.at(901 * DAY)).starts_with("ca ends in 99d; add another authority"));
}

#[test]
fn an_intermediate_is_renewed_when_due_and_its_leaves_follow() {
    let mesh = Years::of(
        "top: {}, mid: { local: { parent: top, lifetime: 100d } }, \
         low: { local: { parent: mid, lifetime: 90d } }",
        "a: { authority: low, lifetime: 10d }, b: { authority: top, lifetime: 10d }",
    );
    mesh.at(0);
    let key = mesh.site.read("certs/mid_key.pem");
    let (mut renewed, mut changed) = (0, 0);
    for day in 1..200 {
        let report = mesh.at(day * DAY);
        assert!(!report.has_failures(), "{report:?}");
        renewed +=
            u32::from(authority(&report, "mid") == (Action::Renewed, "it was half over".into()));
        changed += u32::from(node(&report, "a").1 == "its authority has a new certificate");
        assert_eq!(notes(&report), "", "day {day}");
        assert!(report.trust_changes.is_empty() && report.roll_out.is_empty(), "{report:?}");
        mesh.verifies("top", "a", day * DAY);
        mesh.verifies("top", "b", day * DAY);
    }
    // Every 50 to 60 days; each takes its leaves along.
    assert!((3..=3).contains(&renewed), "{renewed}");
    assert!((3..=8).contains(&changed), "{changed}");
    assert_eq!(mesh.site.read("certs/mid_key.pem"), key);
}

#[test]
fn an_intermediate_that_cannot_be_renewed_is_told_of_in_time() {
    let mesh = Years::of(
        "top: {}, mid: { local: { parent: top, lifetime: 100d } }",
        "a: { authority: mid }",
    );
    mesh.at(0);
    mesh.site.rename("certs/top_key.pem", "vault.pem");
    assert_eq!(notes(&mesh.at(49 * DAY)), "");
    let report = mesh.at(61 * DAY);
    assert!(!report.has_failures());
    let words = "mid is due to be signed anew and ends at ";
    assert!(notes(&report).contains(words), "{report:?}");
    assert!(
        notes(&report).contains("its parent top cannot sign: put top_key.pem back for one run")
    );
    mesh.verifies("top", "a", 61 * DAY);
    let before = mesh.site.read("certs/a_cert.pem");
    let report = mesh.at(101 * DAY);
    assert!(notes(&report).contains("mid has ended and can sign nothing"), "{report:?}");
    assert_eq!(node(&report, "a").0, Action::Failed);
    assert_eq!(mesh.site.read("certs/a_cert.pem"), before);
    mesh.site.rename("vault.pem", "certs/top_key.pem");
    let report = mesh.at(101 * DAY);
    assert_eq!(authority(&report, "mid").0, Action::Renewed);
    mesh.verifies("top", "a", 101 * DAY);
}

#[test]
fn who_signs_by_an_intermediate_that_is_due_is_told_to_issue_first() {
    let mesh = Years::of(
        "top: {}, mid: { local: { parent: top, lifetime: 100d } }",
        "a: { authority: mid }",
    );
    mesh.at(0);
    let (name, certs) = (AuthorityName::parse("mid").unwrap(), mesh.site.path("certs"));
    let signer = |day| signer(&mesh.desired(), &certs, &name, mesh.moment(day * DAY));
    assert!(signer(40).is_ok());
    let words = "it is yet to be made, or signed anew";
    assert_eq!(signer(70).unwrap_err().to_string(), words);
    mesh.at(70 * DAY);
    assert!(signer(70).is_ok());
}

#[test]
fn an_expired_ca_stops_its_nodes_and_no_others() {
    let mesh = Years::of(
        "old: { local: { lifetime: 2d } }, new: {}",
        "a: { authority: old }, b: { authority: new, trust: [old, new] }",
    );
    mesh.at(0);
    let before = mesh.site.read("certs/a_cert.pem");
    let report = mesh.at(3 * DAY);
    assert_eq!(node(&report, "a").0, Action::Failed);
    assert_eq!(mesh.site.read("certs/a_cert.pem"), before);
    assert!(node(&report, "a").1.contains("the issuer's certificate ended at"), "{report:?}");
    assert_eq!(node(&report, "b").0, Action::Renewed);
    assert!(notes(&report).contains("old has ended and can sign nothing; add another authority"));
    mesh.verifies("new", "b", 3 * DAY);
}

#[test]
fn a_clock_that_was_set_back_does_little_harm() {
    let mesh = Years::of("top: {}, mid: { local: { parent: top } }", "a: { authority: mid }");
    mesh.at(0);
    let text = mesh.site.read("certs/a_cert.pem");
    // Within the skew, everything is as valid as it was.
    let report = mesh.at(-4 * 60);
    assert_eq!(node(&report, "a").0, Action::Kept);
    // Beyond it our own CA is of the future, so it is the clock that is wrong.
    let report = mesh.at(-DAY);
    assert_eq!(authority(&report, "top").0, Action::Failed);
    assert!(node(&report, "a").1.contains("set this machine's clock right"), "{report:?}");
    assert_eq!(mesh.site.read("certs/a_cert.pem"), text);
    // A run at a time far ahead leaves an intermediate and a leaf of the future behind.
    let mesh = Years::of(
        "top: {}, mid: { local: { parent: top, lifetime: 9d } }",
        "a: { authority: mid }",
    );
    mesh.at(0);
    mesh.at(8 * DAY);
    let report = mesh.at(2 * DAY);
    assert!(!report.has_failures(), "{report:?}");
    let reason = "it was not valid yet: the clock was set back";
    assert_eq!(authority(&report, "mid"), (Action::Renewed, reason.to_owned()));
    mesh.verifies("top", "a", 2 * DAY);
    assert_eq!(node(&mesh.at(2 * DAY), "a").0, Action::Kept);
}

#[test]
fn a_leaf_of_the_future_alone_is_made_anew() {
    let mesh = Years::of("ca: {}", "a: { authority: ca }");
    mesh.at(0);
    mesh.at(5 * DAY);
    let report = mesh.at(2 * DAY);
    assert!(node(&report, "a").1.starts_with("it is not valid before "), "{report:?}");
    mesh.verifies("ca", "a", 2 * DAY);
    // And one that nobody renewed in time.
    let report = mesh.at(20 * DAY);
    assert!(node(&report, "a").1.starts_with("it expired at "), "{report:?}");
    mesh.verifies("ca", "a", 20 * DAY);
}

#[test]
fn moving_to_a_new_authority_before_the_old_one_ends() {
    let mesh = Years::of("old: { local: { lifetime: 100d } }", "a: { authority: old }");
    mesh.at(0);
    let write = |text: String| mesh.site.write("mesh.yaml", text);
    let both = "old: { local: { lifetime: 100d } }, new: {}";
    write(self::mesh(both, "a: { authority: old, trust: [old, new] }"));
    let report = mesh.at(95 * DAY);
    assert_eq!(node(&report, "a").1, format!("it expired at {}", expiry(&mesh, 0)));
    assert_eq!(report.roll_out.len(), 1, "{report:?}");
    write(self::mesh(both, "a: { authority: new, trust: [old, new] }"));
    let report = mesh.at(96 * DAY);
    assert_eq!(report.roll_out, ["leaves of another authority: a"]);
    write(self::mesh("new: {}", "a: { authority: new }"));
    let report = mesh.at(97 * DAY);
    assert!(report.roll_out[0].starts_with("trust that shrank: a_trust.pem"), "{report:?}");
    assert_eq!(report.left_over, ["old_cert.pem", "old_key.pem", "old_new_bundle.pem"]);
    mesh.verifies("new", "a", 97 * DAY);
}

/// When a leaf of a day that was made at a moment expired.
fn expiry(mesh: &Years, seconds: i64) -> String {
    certctl::time::rfc3339(mesh.moment(seconds + DAY))
}

#[test]
fn a_clock_at_either_end_of_time_breaks_nothing() {
    let authorities = "top: { local: { lifetime: 36500d } }, mid: { local: { parent: top } }";
    let site =
        Site::of(authorities, "a: { authority: mid }, b: { authority: top, lifetime: 36500d }");
    for year in ["1970", "2049", "2050", "2200", "9900", "9990", "9999"] {
        site.issue(&format!("--dry-run --at {year}-01-01T00:00:00Z")).done();
    }
    for moment in ["0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
        site.issue(&format!("--dry-run --at {moment}")).failed(&["the clock says", moment]);
    }
    site.issue("--dry-run --at 9999-12-31T23:59:59Z").failed(&["certificate ended at 9999-12-31"]);
    // And what such a run leaves behind.
    let mut mesh = Years { site, start: Clock::system().now() };
    for year in [1970, 9990, 2026, 2050] {
        mesh.start = time::Date::from_calendar_date(year, time::Month::January, 1)
            .unwrap()
            .midnight()
            .assume_utc();
        mesh.at(0);
        mesh.at(DAY);
    }
}
