// Package fallbackroots lets certificates be verified on a host that has no certificate authorities of its own, such as an
// image without files: by those of Mozilla, which are part of the program.
//
// They are parsed only when Use is called: parsed, they take more memory than anything else that the edge keeps.
package fallbackroots

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Use makes crypto/x509 verify by the program's roots where the host has none.
var Use = sync.OnceFunc(func() {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			panic(err) // of our own program: no test passes with it
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
})
