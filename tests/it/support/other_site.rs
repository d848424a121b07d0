//! A web site of a third party.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};

/// Serves the same page at every path, or redirects from every path.
pub(crate) struct OtherSite {
    port: u16,
    server: ServerHandle,
}

impl OtherSite {
    pub(crate) fn serve(html: impl Into<String>) -> Self {
        let html = html.into();
        Self::start(move || HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html.clone()))
    }

    /// Redirects to this URL.
    pub(crate) fn redirect(url: &str) -> Self {
        let url = url.to_owned();
        Self::start(move || HttpResponse::Found().insert_header(("Location", url.as_str())).finish())
    }

    fn start(respond: impl Fn() -> HttpResponse + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = move || {
            let respond = respond.clone();
            App::new().default_service(web::to(move || {
                let response = respond();
                async move { response }
            }))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
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
