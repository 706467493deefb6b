package auth

import (
	"net/url"
	"strings"
)

// PageAddress reads the address of the page, such as https://solar.example.org/house.
func PageAddress(text string) (page *url.URL, ok bool) {
	page, err := url.Parse(text)
	return page, err == nil && (page.Scheme == "https" || page.Scheme == "http") && page.Host != "" && page.User == nil && page.RawQuery == "" && page.Fragment == ""
}

// LoginLink returns the link that opens the page with a token. The token is in the fragment, which a browser sends to no server.
func LoginLink(page *url.URL, token string) string {
	return strings.TrimSuffix(page.String(), "/") + "/#t=" + url.PathEscape(token)
}
