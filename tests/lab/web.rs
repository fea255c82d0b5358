//! Web pages of somebody else's, on a host of the lab.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::network::Host;

/// Where they are.
const PORT: u16 = 8090;

/// Serves one page; its address. It is there as long as this process.
pub fn host_page(host: &Host, html: &str) -> String {
    let listener = host.run(|| TcpListener::bind((host.address(), PORT)));
    let listener = listener.expect("one page a host");
    let html = html.to_owned();
    thread::spawn(move || {
        // Browsers open connections that they never use.
        for stream in listener.incoming().flatten() {
            let html = html.clone();
            thread::spawn(move || answer(&stream, &html));
        }
    });
    format!("http://{}:{PORT}/", host.address())
}

fn answer(stream: &TcpStream, html: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.by_ref().take_while(|line| !line.is_empty()).count();
    let (status, body) = match first.split(' ').nth(1) {
        Some("/") => ("200 OK", html),
        _ => ("204 No Content", ""),
    };
    let length = body.len();
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
}
