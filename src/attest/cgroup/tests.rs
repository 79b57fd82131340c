//! Lines as real systems write them.

use proptest::prelude::*;

use super::*;

const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";
const POD_SYSTEMD: &str = "2c48913c_b29f_11e7_9350_020968147796";
const STATIC_POD: &str = "0d5ce7a3fbb2a0d0a3f0f6d0e4bb6b3a";
const ID: &str = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";
const TASK: &str = "c9a9d4b2a6c44f4e9e2d8a1c5b7d3e0f";

/// A line, with the names above filled in, and what it says.
const LINES: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    ("nothing at the root", "0::/", None, None),
    ("a service", "0::/system.slice/ssh.service", None, None),
    ("a session", "0::/user.slice/user-1000.slice/session-3.scope", None, None),
    // kubelet, cgroupfs driver
    ("v1, guaranteed", "11:memory:/kubepods/pod{POD}/{ID}", Some(POD), Some(ID)),
    ("v1, burstable", "4:cpu,cpuacct:/kubepods/burstable/pod{POD}/{ID}", Some(POD), Some(ID)),
    ("v2, best effort", "0::/kubepods/besteffort/pod{POD}/{ID}", Some(POD), Some(ID)),
    ("a static pod", "0::/kubepods/burstable/pod{STATIC}/{ID}", Some(STATIC_POD), Some(ID)),
    ("the pod's sandbox alone", "0::/kubepods/besteffort/pod{POD}", Some(POD), None),
    // kubelet, systemd driver
    (
        "containerd",
        "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD_}.slice/cri-containerd-{ID}.scope",
        Some(POD),
        Some(ID),
    ),
    (
        "CRI-O, v1",
        "1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/crio-{ID}.scope",
        Some(POD),
        Some(ID),
    ),
    (
        "CRI-O with crun",
        "0::/kubepods.slice/kubepods-pod{POD_}.slice/crio-{ID}.scope/container",
        Some(POD),
        Some(ID),
    ),
    (
        "CRI-O's monitor, which is outside of the container",
        "0::/kubepods.slice/kubepods-pod{POD_}.slice/crio-conmon-{ID}.scope",
        Some(POD),
        None,
    ),
    (
        "docker below kubelet",
        "8:pids:/kubepods.slice/kubepods-pod{POD_}.slice/docker-{ID}.scope",
        Some(POD),
        Some(ID),
    ),
    (
        "a static pod",
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{ID}.scope",
        Some(STATIC_POD),
        Some(ID),
    ),
    (
        "containerd and kubelet with different drivers",
        "9:memory:/system.slice/containerd.service/kubepods-burstable-pod{POD_}.slice:cri-containerd:{ID}",
        Some(POD),
        Some(ID),
    ),
    // nested
    (
        "kind",
        "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{POD_}.slice/cri-containerd-{ID}.scope",
        Some(POD),
        Some(ID),
    ),
    (
        "kind, from the machine that runs it",
        "0::/system.slice/docker-{OTHER}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope",
        Some(POD),
        Some(ID),
    ),
    (
        "a container in a container of a pod is of the outer one",
        "0::/kubepods/besteffort/pod{POD}/{ID}/docker/{OTHER}",
        Some(POD),
        Some(ID),
    ),
    (
        "a name made inside a container changes nothing",
        "0::/kubepods/besteffort/pod{POD}/{ID}/kubepods/pod11111111-1111-1111-1111-111111111111/{OTHER}",
        Some(POD),
        Some(ID),
    ),
    (
        "seen from another container",
        "0::/../../kubepods-besteffort-pod{POD_}.slice/cri-containerd-{ID}.scope",
        Some(POD),
        Some(ID),
    ),
    ("seen from the same pod", "0::/../cri-containerd-{ID}.scope", None, Some(ID)),
    // without Kubernetes
    ("docker, cgroupfs", "12:cpuset:/docker/{ID}", None, Some(ID)),
    ("docker, systemd", "0::/system.slice/docker-{ID}.scope", None, Some(ID)),
    ("docker in docker", "0::/docker/{ID}/docker/{OTHER}", None, Some(ID)),
    ("containerd's own", "0::/default/{ID}", None, Some(ID)),
    ("nerdctl", "0::/system.slice/nerdctl-{ID}.scope", None, Some(ID)),
    ("podman as root", "0::/machine.slice/libpod-{ID}.scope/container", None, Some(ID)),
    ("podman's monitor", "0::/machine.slice/libpod-conmon-{ID}.scope", None, None),
    // ECS
    ("ECS on EC2, v1", "9:perf_event:/ecs/{TASK}/{ID}", None, Some(ID)),
    ("ECS, old task ids", "9:memory:/ecs/{POD}/{ID}", None, Some(ID)),
    ("ECS with the cluster's name", "4:cpu:/ecs/my-cluster/{TASK}/{ID}", None, Some(ID)),
    (
        "ECS on EC2, v2",
        "0::/ecstasks.slice/ecstasks-{TASK}.slice/docker-{ID}.scope",
        None,
        Some(ID),
    ),
    (
        "Fargate",
        "1:name=systemd:/ecs/{TASK}/{TASK}-2531612879",
        None,
        Some("c9a9d4b2a6c44f4e9e2d8a1c5b7d3e0f-2531612879"),
    ),
    // what says nothing
    (
        "a user's own groups may have any name",
        "0::/user.slice/user-1000.slice/user@1000.service/kubepods/pod{POD}/{ID}",
        None,
        None,
    ),
    ("a short id", "0::/docker/9bca8d63d5fa", None, None),
    (
        "upper case",
        "0::/docker/9BCA8D63D5FA610783847915BCFF0ECAC1273E5B4BED3F6FA1B07350E0135961",
        None,
        None,
    ),
    ("a pod without a UID", "0::/kubepods/podman/x", None, None),
    ("no line", "", None, None),
    ("no path", "0:", None, None),
];

fn fill(line: &str) -> String {
    line.replace("{POD}", POD)
        .replace("{POD_}", POD_SYSTEMD)
        .replace("{STATIC}", STATIC_POD)
        .replace("{ID}", ID)
        .replace("{OTHER}", &ID.replace('9', "8"))
        .replace("{TASK}", TASK)
}

#[test]
fn real_lines_say_which_pod_and_container() {
    for (what, line, pod, container) in LINES {
        let owned = |text: &Option<&str>| text.map(str::to_owned);
        let expected = Cgroup { pod: owned(pod), container: owned(container) };
        assert_eq!(parse(&fill(line)), expected, "{what}");
    }
}

#[test]
fn lines_that_agree_are_one_and_those_that_say_nothing_are_passed_over() {
    let text = fill(
        "12:pids:/kubepods/besteffort/pod{POD}/{ID}\n1:name=systemd:/kubepods/besteffort/pod{POD}/{ID}\n0::/\n",
    );
    assert_eq!(parse(&text).pod.as_deref(), Some(POD));
}

#[test]
fn lines_that_contradict_each_other_say_nothing() {
    let text = fill("12:pids:/kubepods/pod{POD}/{ID}\n1:name=systemd:/docker/{OTHER}\n");
    assert_eq!(parse(&text), Cgroup::default());
}

proptest! {
    #[test]
    fn whatever_is_written_gives_nothing_but_well_formed_ids(text in "(/?(pod|kubepods-|\\.scope|[0-9a-f_:-]{0,70}|é)){0,8}") {
        let cgroup = parse(&format!("0::{text}"));
        prop_assert!(cgroup.pod.is_none_or(|pod| is_pod_uid(&pod)));
        prop_assert!(cgroup.container.is_none_or(|id| id.len() >= 34));
    }
}
