//! A service on a socket of its own, and what it serves.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use tokio::io::ReadBuf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;

use super::super::*;
pub(super) use super::client::*;
use super::raw::Raw;
use crate::boards::{Aspect, Part};
use crate::sds::resource::Resource;
use crate::sds::wire::SECRET_TYPE;
use crate::snapshot::testing::{COLORAPP, Published, node_name, published, view};

/// Longer than anything takes: only a test that hangs ends by it.
pub(super) const HANG: Duration = Duration::from_secs(60);

/// Fails a test that hangs.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    // Real seconds, even while tokio's clock is paused and jumps.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (hung, hangs) = oneshot::channel();
    std::thread::spawn(move || {
        if stopped.recv_timeout(HANG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = hung.send(());
        }
    });
    tokio::select! {
        value = future => {
            drop(stop);
            value
        }
        Ok(()) = hangs => panic!("{what}: not within {HANG:?}"),
    }
}

/// Looks until `probe` gives a value.
pub(super) async fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(value) = probe() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// Names of the form `NODE` or `NODE:ANYTHING`, each with a version and a size in bytes.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<BTreeMap<String, Arc<Resource>>>, Mutex<Option<Granting>>);

/// What is to be granted, and where.
type Granting = (Arc<Mutex<View>>, View);

impl Table {
    fn node(name: &str) -> Option<NodeName> {
        NodeName::parse(name.split(':').next()?).ok()
    }
}

impl Resources for Table {
    fn resolve(&self, name: &str, view: &View, _: &[&str]) -> Resolution {
        let held = |awaits, why: &str| Resolution::Held { awaits, why: why.to_owned() };
        if let Some((shown, granted)) = self.1.lock().unwrap().take() {
            *shown.lock().unwrap() = granted;
        }
        match Self::node(name) {
            Some(node) if view.contains(&node) => match self.0.lock().unwrap().get(name) {
                Some(resource) => Resolution::Ready(Arc::clone(resource)),
                None => held(Some(node), "not made yet"),
            },
            _ => held(None, "not granted"),
        }
    }

    fn all(&self, view: &View, _: &[&str]) -> Vec<String> {
        let granted = |name: &&String| Self::node(name).is_some_and(|node| view.contains(&node));
        self.0.lock().unwrap().keys().filter(granted).cloned().collect()
    }

    fn depends_on(&self, name: &str, _: &View, _: &[&str]) -> Vec<NodeName> {
        Self::node(name).into_iter().collect()
    }
}

/// Anybody who may have what the test says.
#[derive(Debug)]
pub(super) struct Stranger(Arc<Mutex<View>>);

impl Caller for Stranger {
    fn in_words(&self) -> String {
        "uid 1337".into()
    }

    fn view(&self) -> View {
        self.0.lock().unwrap().clone()
    }
}

/// A connection, as the listening side makes it.
#[derive(Debug)]
struct Attested(UnixStream, Arc<dyn Caller>);

impl Connected for Attested {
    type ConnectInfo = Arc<dyn Caller>;

    fn connect_info(&self) -> Arc<dyn Caller> {
        Arc::clone(&self.1)
    }
}

impl AsyncRead for Attested {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Attested {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A service that runs.
pub(super) struct Running {
    directory: tempfile::TempDir,
    mesh: Published,
    table: Arc<Table>,
    pub(super) view: Arc<Mutex<View>>,
    /// Who connects next, where that is not just anybody.
    pub(super) next: Arc<Mutex<Option<Arc<dyn Caller>>>>,
    pub(super) demand: Demand,
    pub(super) deliveries: Deliveries,
    end: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Serves the walkthrough's nodes to anybody, with nothing made yet.
    pub(super) fn start() -> Self {
        Self::of(|table, _| table)
    }

    /// Serves the walkthrough's mesh itself to anybody.
    pub(super) fn of_catalogue() -> Self {
        Self::of(|_, mesh| Arc::new(Catalogue::new(mesh.snapshot.clone())))
    }

    fn of(resources: impl FnOnce(Arc<Table>, &Published) -> Arc<dyn Resources>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("sds.sock")).unwrap();
        let mesh = published(COLORAPP);
        let table = Arc::new(Table::default());
        let shown = Arc::new(Mutex::new(view(&["front", "blue", "green"])));
        let (demand, deliveries) = (Demand::default(), Deliveries::default());
        let service = Service {
            snapshot: mesh.snapshot.clone(),
            resources: resources(Arc::clone(&table), &mesh),
            demand: demand.clone(),
            deliveries: deliveries.clone(),
        };
        let next = Arc::<Mutex<Option<Arc<dyn Caller>>>>::default();
        let (granted, particular) = (Arc::clone(&shown), Arc::clone(&next));
        let connections = UnixListenerStream::new(listener).map(move |stream| {
            let caller = particular.lock().unwrap().take();
            let caller = caller.unwrap_or_else(|| Arc::new(Stranger(Arc::clone(&granted))));
            Ok(Attested(stream?, caller))
        });
        let (end, ended) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = ended.await;
        };
        let serving = tokio::spawn(serve(service, connections, shutdown));
        let end = Some(end);
        Self { directory, mesh, table, view: shown, next, demand, deliveries, end, serving }
    }

    /// Gives a name a content of its own, and wakes who watches its node.
    pub(super) fn set(&self, name: &str, version: &str) -> std::sync::Weak<Resource> {
        self.set_sized(name, version, 100)
    }

    pub(super) fn set_sized(
        &self,
        name: &str,
        version: &str,
        size: usize,
    ) -> std::sync::Weak<Resource> {
        let node = Table::node(name).unwrap();
        let generation = self.mesh.snapshot.generation() + 1;
        let value = format!("{name}={version}{}", " ".repeat(size)).into_bytes();
        let any = Any { type_url: SECRET_TYPE.into(), value }.encode_to_vec();
        let resource = Arc::new(Resource {
            name: name.into(),
            version: version.into(),
            any: Bytes::from(any),
            aspects: vec![Aspect { part: Part::Leaf(node.clone()), generation }],
        });
        let weak = Arc::downgrade(&resource);
        self.table.0.lock().unwrap().insert(name.into(), resource);
        self.mesh.set_trust(node.as_str(), |_| ());
        weak
    }

    /// Gives a node a new leaf.
    pub(super) fn renew(&self, node: &str) {
        self.mesh.renew(node);
    }

    /// Gives many names of `front` one large content, which the test holds once.
    pub(super) fn set_alike(&self, names: &[String], size: usize) {
        let any = Bytes::from(vec![0; size]);
        for name in names {
            let (name, version) = (name.clone(), "1".to_owned());
            let resource = Resource { name, version, any: any.clone(), aspects: Vec::new() };
            let mut table = self.table.0.lock().unwrap();
            table.insert(resource.name.clone(), Arc::new(resource));
        }
    }

    /// Lets callers see these nodes, and says that the mesh changed.
    pub(super) fn grant(&mut self, nodes: &[&str]) {
        *self.view.lock().unwrap() = view(nodes);
        self.mesh.edit(COLORAPP);
    }

    pub(super) async fn connect(&self) -> Client {
        let path = self.directory.path().join("sds.sock");
        Client::connect(&path).await
    }

    /// A connection whose bytes the test writes itself.
    pub(super) async fn raw(&self) -> Raw {
        Raw(UnixStream::connect(self.directory.path().join("sds.sock")).await.unwrap())
    }

    /// Ends the service, and waits until it is over.
    pub(super) async fn stop(&mut self) {
        drop(self.end.take());
        within("the end of the service", &mut self.serving).await.unwrap();
    }

    /// Lets callers see these nodes as soon as something has been looked up.
    pub(super) fn grant_after_a_look(&self, nodes: &[&str]) {
        let granted = (Arc::clone(&self.view), view(nodes));
        *self.table.1.lock().unwrap() = Some(granted);
    }

    pub(super) fn is_awaited(&self, node: &str) -> bool {
        self.demand.is_awaited(&node_name(node))
    }
}
