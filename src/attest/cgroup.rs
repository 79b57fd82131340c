//! Which pod and container a process is in, by its control group (cgroups(7), `/proc/PID/cgroup`).
//! Pure.

/// What a control group's path says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cgroup {
    /// The Kubernetes UID of the pod, with hyphens.
    pub(super) pod: Option<String>,
    /// The container's id, as its runtime calls it.
    pub(super) container: Option<String>,
}

/// Reads the lines `ID:CONTROLLERS:PATH`, of either version. Lines that contradict each other say
/// nothing.
pub(super) fn parse(text: &str) -> Cgroup {
    let mut said = text
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .map(of_path)
        .filter(|cgroup| *cgroup != Cgroup::default());
    let Some(first) = said.next() else { return Cgroup::default() };
    if said.all(|other| other == first) { first } else { Cgroup::default() }
}

/// What one path says. The outermost pod and the outermost container count: whatever lies within
/// them was made by those inside.
fn of_path(path: &str) -> Cgroup {
    let segments: Vec<_> =
        path.split('/').filter(|segment| !matches!(*segment, "" | "..")).collect();
    // A user may make groups of any name below their own session (systemd's Delegate=).
    if segments.first() == Some(&"user.slice") {
        return Cgroup::default();
    }
    let pod = segments.iter().enumerate().find_map(|(at, segment)| Some((at, pod(segment)?)));
    let inside = match &pod {
        Some((at, _)) => &segments[*at..],
        None => &segments[..],
    };
    let container = inside.iter().find_map(|segment| container(segment));
    Cgroup { pod: pod.map(|(_, uid)| uid), container }
}

/// The UID in kubelet's name for a pod's group: `podUID` of the cgroupfs driver,
/// `kubepods-burstable-podUID.slice` of the systemd one, which writes `_` for `-`.
fn pod(segment: &str) -> Option<String> {
    // containerd's name where the two drivers are mixed: `kubepods-podUID.slice:cri-containerd:ID`.
    let group = segment.split(':').next().unwrap_or(segment);
    let group = group.strip_suffix(".slice").unwrap_or(group);
    let uid = match group.strip_prefix("pod") {
        Some(uid) => uid,
        None if group.contains("kubepods") => &group[group.find("-pod")? + "-pod".len()..],
        None => return None,
    };
    let uid = uid.replace('_', "-");
    is_pod_uid(&uid).then_some(uid)
}

/// A UUID, or the hash that a static pod has in its place.
fn is_pod_uid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    (groups == [8, 4, 4, 4, 12] || groups == [32]) && text.bytes().all(|b| b == b'-' || is_hex(b))
}

/// The id in a runtime's name for a container's group: alone (cgroupfs), behind the runtime's name
/// (`cri-containerd-ID.scope`, `crio-ID.scope`, `docker-ID.scope`, `…:cri-containerd:ID`), or as
/// Fargate makes it, of the task's.
fn container(segment: &str) -> Option<String> {
    let group = segment.strip_suffix(".scope").unwrap_or(segment);
    if is_fargate(group) {
        return Some(group.to_owned());
    }
    let (runtime, id) = match group.rfind([':', '-']) {
        Some(at) => (&group[..at], &group[at + 1..]),
        None => ("", group),
    };
    // The monitor of a container is outside of it.
    let is_monitor = runtime.ends_with("conmon");
    (!is_monitor && id.len() == 64 && id.bytes().all(is_hex)).then(|| id.to_owned())
}

fn is_fargate(group: &str) -> bool {
    group.split_once('-').is_some_and(|(task, number)| {
        let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        numbered && task.len() == 32 && task.bytes().all(is_hex)
    })
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests;
