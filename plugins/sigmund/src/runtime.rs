//! The one tokio runtime of the process, and the bounded pool for GStreamer
//! calls that may block (state changes, building and freeing elements).

use std::future::Future;
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
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

/// How long an element that stops waits for what was prepared for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many preparations are under way.
static PREPARING: Mutex<Preparing> = Mutex::new(Preparing(0));
static PREPARED: Condvar = Condvar::new();

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

/// Runs a blocking call for which nobody waits before the end of the element.
pub(crate) fn prepare<F: FnOnce() + Send + 'static>(call: F) {
    let preparation = Preparation::begin();
    detach(move || {
        let _preparation = preparation;
        call();
    });
}

/// Waits until all is prepared. A process that has stopped its elements may exit
/// at once, and libraries that still work then crash.
pub(crate) fn finish_preparing() {
    let preparing = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    // Late is no error: then it is left alone.
    let _ = PREPARED.wait_timeout_while(preparing, PATIENCE, |it| it.0 > 0);
}

#[cfg(test)]
pub(crate) fn is_preparing() -> bool {
    PREPARING.lock().unwrap().0 > 0
}

struct Preparing(usize);

struct Preparation;

impl Preparation {
    fn begin() -> Self {
        PREPARING.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        Self
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        PREPARING.lock().unwrap_or_else(PoisonError::into_inner).0 -= 1;
        PREPARED.notify_all();
    }
}
