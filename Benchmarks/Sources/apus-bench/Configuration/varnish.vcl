# Varnish before nginx; every object is in its cache before anything is timed. Names between double braces are filled in
# by apus-bench. Reasons: varnish-cache.org/docs/7.1/users-guide/increasing-your-hitrate.html.
vcl 4.1;

backend default {
  .host = "{{address}}";
  .port = "{{backend_port}}";
}

sub vcl_backend_response {
  # Longer than any measurement: every request is a hit.
  set beresp.ttl = 1d;
  # One object for all clients.
  unset beresp.http.Set-Cookie;
  # Files are stored whole, so that their length is in the head.
  set beresp.do_stream = false;
}
