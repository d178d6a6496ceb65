// Package origin says from which web pages somebody may ask.
//
// [Parse] reads a list of origins, such as https://www.example.com or https://*.example.com, into a [Set]. A [Policy]
// holds requests against it and writes the headers of cross-origin resource sharing (CORS, as the Fetch standard has
// it):
//
//	set, warnings, faults := origin.Parse("https://www.example.com, https://*.preview.example.com")
//	policy := origin.NewPolicy(origin.Options{Origins: set, Methods: []string{"POST"}, Headers: []string{"X-User-ID"}})
//	…
//	verdict := policy.Apply(w.Header(), r) // first of all, so that errors have the headers too
//	switch {
//	case verdict == origin.Unlisted:
//		// 403
//	case policy.IsPreflight(r):
//		// 204, and the request ends here
//	}
//
// CORS tells a browser whether a page may read an answer, and keeps nobody from asking. So a request with an origin
// that is not listed is refused by the server, as well. A request without one does not come from another site's page
// and is the affair of other checks: programs that are not browsers send whatever they like.
//
// The origin of the service itself has to be listed too, if there are pages on it that ask: browsers send it with
// every POST. It is not found out from the Host header: a page whose name was pointed at this server's address (DNS
// rebinding) has a Host that agrees with its origin.
//
// Private Network Access (Access-Control-Request-Private-Network) is not answered: browsers ask their users instead
// now.
//
// rs/cors, the library of the field, matches wildcards as any text between two ends, gives credentials to all origins
// or none, answers a preflight for all requested headers or none, and lets unlisted origins through to the handler;
// all but the last would have to be undone by callbacks that make up most of this package.
//
// Security checks 15 and 16.
package cors
