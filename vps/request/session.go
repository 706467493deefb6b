package request

import (
	"net/http"

	"sunspool/vps/auth"
	"sunspool/vps/problem"
	"sunspool/wire"
)

// Identify returns who sends c: by its token, else by the session that its cookie has, else, in mode open-lan, by where it
// comes from. Only what reads may be asked with a cookie, which a browser sends by itself. Wrong tokens are counted; that there
// is none is not.
func (g *Gate) Identify(c *Request) (auth.Caller, error) { return g.identify(c, safe(c.HTTP.Method)) }

// identify is Identify where cookie decides whether a session counts.
func (g *Gate) identify(c *Request, cookie bool) (auth.Caller, error) {
	if auth.Bearer(c.HTTP) != "" {
		return g.bearer(c)
	}
	var cookies []string
	if cookie {
		cookies = g.cookies().Of(c.HTTP)
	}
	for _, cookie := range cookies {
		s, ok := g.Tokens.Session(cookie, g.Now())
		if !ok {
			continue
		}
		c.cookie, c.Session = cookie, &s
		g.admitted(c, s.Token)
		if g.Now().Sub(s.Issued) >= auth.RenewAfter {
			g.SetSession(c, new(s.Renewed(g.Now())))
		}
		return s.Caller, nil
	}
	if g.OpenLAN && safe(c.HTTP.Method) && g.Proxies.Home(c.HTTP) {
		c.Token = auth.SumOf(auth.NetworkOf(c.Remote).String()) // which is the caller here
		return auth.Caller{Device: auth.AnyDevice, Viewer: true}, nil
	}
	if cookies == nil {
		return g.bearer(c)
	}
	c.conn().SetUnauthenticated(auth.NetworkOf(c.Remote))
	if g.Tokens.Unread() {
		return auth.Caller{}, errUnavailable
	}
	return auth.Caller{}, errBadToken
}

// bearer returns whose token c carries.
func (g *Gate) bearer(c *Request) (auth.Caller, error) {
	token := auth.Bearer(c.HTTP)
	if token == "" {
		c.conn().SetUnauthenticated(auth.NetworkOf(c.Remote))
		return auth.Caller{}, errNoToken
	}
	who, known := g.Tokens.Find(token, g.Now())
	if !known {
		return auth.Caller{}, g.unknown(c)
	}
	c.byToken = true
	g.admitted(c, auth.SumOf(token))
	return who, nil
}

// unknown counts a wrong token of c, and returns the refusal. Before the tokens of the store were read, none is wrong: an edge
// that has one of them is asked to come again.
func (g *Gate) unknown(c *Request) error { return g.wrong(c, errBadToken) }

// WrongSecret is unknown for a pairing code.
func (g *Gate) WrongSecret(c *Request) error { return g.wrong(c, errBadCode) }

func (g *Gate) wrong(c *Request, refusal *problem.Refusal) error {
	c.conn().SetUnauthenticated(auth.NetworkOf(c.Remote))
	if g.Tokens.Unread() {
		return errUnavailable
	}
	if wait := g.failures.Add(c.Remote, g.Now()); wait > 0 {
		tooMany := *errFailures
		refusal = tooMany.WithRetry(wait)
	}
	g.Refused(refusal.Code)
	return refusal
}

// admitted notes that c was sent with a good token, or with a session of it.
func (g *Gate) admitted(c *Request, token auth.TokenSum) {
	c.Token = token
	if g.Version != "" { // a refusal carries it too: it is this server's, not a proxy's
		c.Header().Set("Server", "sunspool/"+g.Version)
		c.Header().Set(wire.VersionHeader, g.Version)
	}
	c.conn().SetActive(c.Token)
}

// StillAllowed reports whether c would be admitted now as it was.
func (g *Gate) StillAllowed(c *Request) bool {
	switch {
	case c.byToken:
		who, known := g.Tokens.Find(auth.Bearer(c.HTTP), g.Now())
		return known && who == c.Caller
	case c.cookie != "":
		s, ok := g.Tokens.Session(c.cookie, g.Now())
		return ok && s.Caller == c.Caller
	}
	return true
}

// StillMay refuses c if its token ended since it was admitted: a body may take its time, and what it asks for is done after that.
func (g *Gate) StillMay(c *Request) error {
	if !g.StillAllowed(c) {
		g.Refused(errBadToken.Code)
		return errBadToken
	}
	return nil
}

// Anonymous reports whether c was let in without a token.
func (c *Request) Anonymous() bool { return !c.byToken && c.Session == nil }

// LogIn begins a session of a token in the browser that sent c.
func (g *Gate) LogIn(c *Request, token string, kiosk bool) error {
	s, known := g.Tokens.NewSession(token, kiosk, g.Now())
	if !known {
		return g.unknown(c)
	}
	c.Caller, c.Session = s.Caller, &s
	g.admitted(c, s.Token)
	g.SetSession(c, &s)
	return nil
}

// SetSession gives a session to the browser that sent c, in place of the one that it has; nil takes that away.
func (g *Gate) SetSession(c *Request, s *auth.Session) {
	g.cookies().Set(c, c.HTTP, s, g.Now())
}

func (g *Gate) cookies() auth.Cookies {
	return auth.Cookies{Tokens: g.Tokens, Proxies: g.Proxies, Framed: len(g.Ancestors) > 0}
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// origins is what a page of another site cannot get around: it refuses what changes something, if a browser says that such a
// page asks for it. What no browser sent, and what carries a token in a header, which no foreign page can add, passes.
var origins http.CrossOriginProtection

func crossOrigin(r *http.Request) error {
	if auth.Bearer(r) == "" && origins.Check(r) != nil {
		return errCrossOrigin
	}
	return nil
}

// Inner returns a request for target on behalf of c, for a handler that returns its answer. end is to be called when that was
// written or dropped.
func (c *Request) Inner(target string, values ...string) (inner *Request, end func()) {
	copied := *c
	inner = &copied
	inner.ResponseWriter = &discardWriter{}
	inner.HTTP = c.HTTP.Clone(c.HTTP.Context())
	inner.HTTP.Method = http.MethodGet
	if u, err := c.HTTP.URL.Parse(target); err == nil {
		inner.HTTP.URL = u
	}
	for i := 0; i+1 < len(values); i += 2 {
		inner.HTTP.SetPathValue(values[i], values[i+1])
	}
	return inner, func() {
		c.StoreSince = inner.StoreSince // all calls of the store for c have their time together
		if inner.Large != c.Large {
			inner.Large.Release()
		}
	}
}
