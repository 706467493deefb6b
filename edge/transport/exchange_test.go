package transport

import (
	"net/url"
	"testing"
)

func TestProxyIsShownWithoutItsPassword(t *testing.T) {
	for text, want := range map[string]string{
		"http://roof:hunter2@proxy": "proxy:80", "https://proxy": "proxy:443", "socks5://proxy": "proxy:1080", "http://[::1]": "[::1]:80", "http://roof@[::1]:3128": "[::1]:3128",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := ProxyAddress(u); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
