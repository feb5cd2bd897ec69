//! The warden: the only privileged process that the daemon can speak to. It makes networks and sandboxes, and hands over sockets; what it
//! does not know it refuses. It holds nothing that must outlive it: the holder does.

pub(crate) mod holding;
pub(crate) mod key;
pub(crate) mod link;
mod listening;
pub(crate) mod request;
mod sandboxes;
mod sockets;
mod spares;

use crate::error::{Act, Error, Result};
use crate::frame;
use crate::network::inet::Ahead;
use crate::network::router::Routers;
use crate::privilege::{self, Privilege};
use crate::sandbox::cgroup::Hierarchy;
use crate::sandbox::{disk, images};
use crate::world::Config;
use holding::HolderLink;
pub(crate) use holding::announce;
use request::{Event, Reply, Request};
use spares::Spares;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Runs the warden of a world until it is killed: as root, or as an ordinary user, who becomes root of a user namespace here.
///
/// # Errors
/// When the holder can't be started, or the world's directory can't be used.
pub fn main(config: &Config) -> Result<()> {
    let listener = given()?;
    for (name, mode) in [("", 0o755), ("disks", 0o700), ("images", 0o700)] {
        let path = config.directory.join(name);
        fs::create_dir_all(&path).act("make", path.display())?;
        fs::set_permissions(&path, Permissions::from_mode(mode)).act("set mode of", path.display())?;
    }
    let hierarchy = Hierarchy::of(config);
    hierarchy.make_world(&config.cgroup())?;
    let image = config.image(disk::BASE);
    let alone = holding::find(config).is_none();
    // Looked at where the ids of the machine's files can be seen.
    let owners = (config.privilege == Privilege::User && !crate::image::is_made(&image, alone))
        .then(crate::image::Owners::look)
        .transpose()?;
    let mut config = config.clone();
    if config.privilege == Privilege::User {
        privilege::enter(&config)?;
        // As it is called in there: nobody else's user can be seen.
        config.owner = (0, 0);
    }
    let config = &config;
    crate::image::make_base(&image, alone, config.image_root(), owners.as_ref())?;
    // What takes long comes up while we look after the rest.
    let starting = alone.then(|| holding::start(config)).transpose()?;
    let ahead = alone.then(|| Ahead::begin(config.public, config.host())).transpose()?;
    crate::image::make_layer(config)?;
    images::sweep_at_start(config)?;
    // Moves this process into the holder's mount namespace: no other thread may share its root directory.
    let holder = holding::enter(config, starting)?;
    let pinned = (config.namespaces(), config.interfaces());
    let routers = Routers::open((&pinned.0, &pinned.1), &config.facts(), config.public, config.host(), ahead)?;
    let spares = Spares::new(config);
    let warden = Arc::new(Warden {
        config: config.clone(),
        hierarchy,
        routers: Mutex::new(routers),
        holder: Mutex::new(holder),
        disks: Mutex::new(disk::Slots::read(config)),
        spares,
        watchers: Mutex::new(Vec::new()),
        machines: Mutex::default(),
    });
    for running in lock(&warden.holder).running()? {
        lock(&warden.machines).insert(running.id, running.interface);
    }
    let events = holding::connect(config)?;
    let watching = Arc::clone(&warden);
    std::thread::spawn(move || {
        watching.pass_events(&events);
        // Without a holder there is no world: the supervisor starts both anew.
        tracing::error!("the holder is gone");
        std::process::exit(1);
    });
    crate::footprint::let_go_when_settled();
    loop {
        let (stream, _) = listener.accept().act("accept on", config.warden_socket().display())?;
        let warden = Arc::clone(&warden);
        // Deep directories are walked on this stack; what is not used costs nothing.
        let builder = std::thread::Builder::new().stack_size(16 << 20);
        if let Err(error) = builder.spawn(move || warden.converse(&stream)) {
            tracing::error!(%error, "no thread for a caller");
        }
    }
}

/// The socket that we are called on. Whoever started us made it and gave it as standard input, so that callers wait for us instead of asking
/// again and again; we alone have it.
fn given() -> Result<UnixListener> {
    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned().act("take over", "our socket")?);
    listener.local_addr().act("take standard input for", "our socket")?;
    let nothing = fs::File::open("/dev/null").act("open", "/dev/null")?;
    nix::unistd::dup2_stdin(nothing).act("let go of", "standard input")?;
    Ok(listener)
}

/// What a caller may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    /// For sockets.
    Planes,
    /// For everything.
    All,
}

struct Warden {
    config: Config,
    hierarchy: Hierarchy,
    routers: Mutex<Routers>,
    holder: Mutex<HolderLink>,
    /// Held while disks or images are made or removed: so no two get the same ids, and no image goes that something is to stand on.
    disks: Mutex<disk::Slots>,
    spares: Arc<Spares>,
    watchers: Mutex<Vec<UnixStream>>,
    /// The interface of each sandbox that was started.
    machines: Mutex<BTreeMap<String, String>>,
}

/// A lock is worth as much after a panic as before: what it guards is changed by steps that each leave it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Warden {
    /// Serves one caller for as long as it stays.
    fn converse(&self, stream: &UnixStream) {
        let allowed = match nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials) {
            Ok(who) => who.uid() == 0 || who.uid() == self.config.owner.0,
            Err(_) => false,
        };
        if !allowed {
            let _ = frame::send(stream, "caller", &Reply::Failed("you may not ask".into()), &[]);
            // What it says is taken off the socket: else its end would be a reset, and the refusal lost.
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(1)));
            let _ = std::io::Read::read(&mut &*stream, &mut [0; 4096]);
            return;
        }
        let mut rights = Rights::Planes;
        loop {
            let (request, given) = match frame::receive::<Request>(stream, "caller") {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    let _ = frame::send(stream, "caller", &Reply::Failed(error.to_string()), &[]);
                    return;
                }
            };
            let wrong = matches!(&request, Request::Key(said) if !key::is_key(&self.config.warden_socket(), said));
            if let Request::Key(_) = &request {
                rights = if wrong { Rights::Planes } else { Rights::All };
            }
            if wrong || rights == Rights::Planes && !request.is_planes() {
                let refusal = Reply::Failed("who does not say the world's key may ask for sockets only".into());
                if frame::send(stream, "caller", &refusal, &[]).is_err() {
                    return;
                }
                continue;
            }
            if let Request::Events = request {
                self.watch(stream);
                continue;
            }
            // A panic ends its request, not the warden.
            let performed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.perform(request, &given)));
            let (reply, fds) = match performed {
                Ok(Ok(done)) => done,
                Ok(Err(error)) => {
                    tracing::info!(%error, "request failed");
                    (Reply::Failed(error.to_string()), Vec::new())
                }
                Err(_) => (Reply::Failed("the warden failed at this request".into()), Vec::new()),
            };
            let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            if frame::send(stream, "caller", &reply, &borrowed).is_err() {
                return;
            }
        }
    }

    fn watch(&self, stream: &UnixStream) {
        let Ok(watcher) = stream.try_clone() else { return };
        let _ = watcher.set_write_timeout(Some(std::time::Duration::from_secs(5)));
        let mut watchers = lock(&self.watchers);
        // Under the lock, so that no event falls between the list and what comes after.
        for (id, (generation, state)) in lock(&self.holder).list().unwrap_or_default() {
            // What is on its way up says so itself.
            let Some(state) = state else { continue };
            if !frame::tell(&watcher, "caller", &Event { id, generation, state }) {
                return;
            }
        }
        watchers.push(watcher);
    }

    fn pass_events(&self, events: &UnixStream) {
        while let Ok(Some((event, _))) = frame::receive::<Event>(events, "holder") {
            self.hear(&event);
            lock(&self.watchers).retain(|watcher| frame::tell(watcher, "caller", &event));
        }
    }

    /// Performs one request: a call per kind.
    fn perform(&self, request: Request, given: &[OwnedFd]) -> Result<(Reply, Vec<OwnedFd>)> {
        request.check(&self.config)?;
        let done = |()| (Reply::Done, Vec::new());
        match request {
            Request::PutNetwork(network) => lock(&self.routers).put_network(network).map(done),
            Request::RemoveNetwork(id) => lock(&self.routers).remove_network(&id).map(done),
            Request::PutSubnet(subnet) => lock(&self.routers).put_subnet(subnet).map(done),
            Request::PutGroup(group) => lock(&self.routers).put_group(group).map(done),
            Request::PutInterface(interface) => lock(&self.routers).put_interface(interface).map(done),
            Request::RemoveInterface(id) => lock(&self.routers).remove_interface(&id).map(done),
            Request::Forget(id) => lock(&self.routers).forget(&id).map(done),
            Request::SetZone { zone, cut } => self.set_zone(&zone, cut).map(done),
            Request::StartSandbox(sandbox) => Ok((self.start(*sandbox)?, Vec::new())),
            Request::StopSandbox { id, generation, force } => lock(&self.holder).stop(&id, generation, force).map(done),
            Request::CrashSandbox { id, generation } => self.crash(&id, generation).map(done),
            Request::RemoveSandbox(id) => self.remove(&id).map(done),
            Request::PutImage { id, sandbox } => self.put_image(&id, &sandbox).map(done),
            Request::RemoveImage(id) => self.remove_image(&id).map(done),
            Request::Console(id) => Ok((Reply::Console(lock(&self.holder).console(&id)?), Vec::new())),
            Request::Shell(id) => lock(&self.holder).shell(&id, given).map(done),
            Request::Inventory => Ok((Reply::Inventory(self.inventory()?), Vec::new())),
            Request::Figures => Ok((Reply::Figures(self.figures()?), Vec::new())),
            Request::Sockets { place, kind, count, transparent } => {
                Ok((Reply::Done, self.sockets(&place, kind, count, transparent)?))
            }
            Request::Bind { place, kind, address, port } => {
                Ok((Reply::Done, vec![self.bind(&place, kind, address, port)?]))
            }
            Request::Listening(id) => Ok((Reply::Ports(self.listening(&id)?), Vec::new())),
            Request::Key(_) => Ok((Reply::Done, Vec::new())),
            Request::Events => Err(Error::Refused("events are asked for alone".into())),
        }
    }
}
