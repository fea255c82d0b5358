//! The one tokio runtime of the process, and the bounded pool for GStreamer
//! calls that may block (state changes, building and freeing elements).

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Tasks only pass notes and decide; two workers carry thousands of them.
const WORKERS: usize = 2;

/// Blocking calls at once. A join needs one for some milliseconds; a teardown
/// that hangs keeps one for good.
const BLOCKING: usize = 32;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING + 4)
        .thread_name("sigmund")
        .thread_keep_alive(Duration::from_secs(5))
        .on_thread_start(crate::trace::enter)
        .enable_all()
        .build()
        .expect("threads and an epoll instance can be made at start-up")
});

static PERMITS: Semaphore = Semaphore::const_new(BLOCKING);

/// Runs a task on the runtime.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Waits for a future from a thread that is not the runtime's (state changes).
/// `None` if it panicked.
///
/// The thread may belong to somebody else's tokio runtime, on which
/// `Runtime::block_on` would panic: a plain channel does not mind.
pub(crate) fn wait_for<F>(future: F) -> Option<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (done, result) = std::sync::mpsc::sync_channel(1);
    spawn(async move {
        // The receiver waits below.
        let _ = done.send(future.await);
    });
    result.recv().ok()
}

/// Runs a blocking call on the pool and waits for it. `None` if it panicked.
///
/// Waits for a place when the pool is full. Dropping the future does not stop
/// a call that has begun.
pub(crate) async fn blocking<T, F>(call: F) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let permit = PERMITS.acquire().await.ok()?;
    RUNTIME
        .spawn_blocking(move || {
            let _permit = permit;
            call()
        })
        .await
        .ok()
}

/// Runs a blocking call with nobody waiting for it: teardown from `Drop`.
pub(crate) fn detach<F: FnOnce() + Send + 'static>(call: F) {
    spawn(async move { blocking(call).await });
}
