//! A web site of a third party.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};

/// Serves the same page at every path.
pub(crate) struct OtherSite {
    port: u16,
    server: ServerHandle,
}

impl OtherSite {
    pub(crate) fn serve(html: impl Into<String>) -> Self {
        let html = html.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = move || {
            let html = html.clone();
            App::new().default_service(web::to(move || {
                let html = html.clone();
                async move { HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html) }
            }))
        };
        let server = HttpServer::new(answer).workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { port, server: handle }
    }

    /// The URL under another site than that of a [`super::TestApp`].
    pub(crate) fn cross_site(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The URL under the same site as a [`super::TestApp`] but another origin. Browsers send it the same
    /// cookies.
    pub(crate) fn same_site(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for OtherSite {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}
