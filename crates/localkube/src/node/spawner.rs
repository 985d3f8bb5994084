//! One thread that starts all processes. They die with their parent *thread* (`PR_SET_PDEATHSIG`), and threads of a
//! runtime may end while the program goes on; this one ends with the program.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes in the network namespace of the cluster. Clones share the thread.
#[derive(Debug, Clone)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
}

impl Spawner {
    /// `enter` runs first on the new thread and puts it into the namespace that the processes are to have.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(runtime: Handle, enter: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (orders, received) = mpsc::channel::<Order>();
        let (entered, has_entered) = mpsc::channel();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let done = enter();
            let failed = done.is_err();
            if entered.send(done).is_err() || failed {
                return;
            }
            let _reactor = runtime.enter();
            while let Ok((mut command, answer)) = received.recv() {
                // Nobody waits any more: dropping the answer drops the child, which is killed on drop.
                let _dropped = answer.send(command.kill_on_drop(true).spawn());
            }
        })?;
        has_entered.recv().map_err(io::Error::other)??;
        Ok(Self { orders })
    }

    /// Starts a process; it is killed when the answer is dropped.
    ///
    /// # Errors
    /// As `fork(2)` and `execve(2)`.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = oneshot::channel();
        self.orders.send((command, answer)).map_err(|_| io::Error::other("the spawner has stopped"))?;
        answered.await.map_err(io::Error::other)?
    }
}
