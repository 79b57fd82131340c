//! The files that a mesh file names are followed too.

use super::*;

fn partnered(domain: &str) -> String {
    mesh(domain).replace("ca_1: ", "ca_1: , partner: {trustOnly: {certificates: roots/p.pem}}")
}

async fn revision(site: &Site, wanted: u64) -> Arc<Source> {
    let mut sources = site.watcher().sources();
    until("a revision", &mut sources, |source| source.revision >= wanted).await
}

#[tokio::test]
async fn a_named_file_that_appears_changes_or_goes_makes_a_revision() {
    let site = Site::with(&partnered("d0"));
    let roots = site.at("conf/roots/p.pem");
    let mut seen = 1;
    let mut next = async |what: &str| {
        let source = revision(&site, seen + 1).await;
        assert_eq!(source.desired.trust_domain.as_str(), "d0", "{what}");
        // Nothing more comes of it than what has come.
        seen = source.revision;
    };
    fs::create_dir(site.at("conf/roots")).unwrap();
    fs::write(&roots, "1").unwrap();
    next("appears").await;
    renamed_over(&roots, "2");
    next("replaced").await;
    fs::write(&roots, "3").unwrap();
    next("written").await;
    fs::remove_file(&roots).unwrap();
    next("gone").await;
}

#[tokio::test]
async fn a_file_that_an_edit_names_is_followed_from_then_on() {
    let site = Site::with(&mesh("d0"));
    fs::create_dir(site.at("conf/roots")).unwrap();
    fs::write(site.at("conf/roots/p.pem"), "1").unwrap();
    fs::write(site.mesh(), partnered("d1")).unwrap();
    let named = site.says("d1").await;
    assert_eq!(named.revision, 2);
    renamed_over(&site.at("conf/roots/p.pem"), "2");
    let source = revision(&site, 3).await;
    assert_eq!(source.desired, named.desired);
}

#[tokio::test]
async fn a_named_file_counts_while_the_mesh_file_is_broken() {
    let site = Site::with(&partnered("d0"));
    fs::write(site.mesh(), "").unwrap();
    site.faults("is empty").await;
    fs::create_dir(site.at("conf/roots")).unwrap();
    fs::write(site.at("conf/roots/p.pem"), "1").unwrap();
    assert_eq!(revision(&site, 2).await.desired.trust_domain.as_str(), "d0");
    assert!(site.watcher().condition().borrow().fault.is_some());
}
