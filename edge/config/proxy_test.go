package config

import (
	"strings"
	"testing"
)

// What is in HTTPS_PROXY and is no proxy is refused at the start, with what to write, and without a part of the password.
func TestPasswordOfAProxyThatIsWrittenWrongIsNotRepeated(t *testing.T) {
	for _, value := range []string{
		"http://roof:hunter2%zz@proxy:3128", "http://roof:hunter2/x@proxy:3128", "http://roof:hunter2#x@proxy:3128", "http://roof:hunter2?x@proxy:3128",
		"http://roof:1/hunter2@proxy:3128", "http://roof:1#hunter2@proxy:3128", "http://roof:1?hunter2@proxy:3128", "roof:hunter2 @proxy:3128",
		"http://roof@hunter2:x@:3128", "http://hunter2 x@proxy:3128", "http://[hunter2]:3128", "hunter2://proxy", "http://roof:hunter2@proxy:3128/path",
		"http://roof:hunter2@proxy:0", "http://roof:hunter2@-proxy:3128", "http:///roof:hunter2@proxy:3128", "http:roof:hunter2@proxy",
	} {
		for _, name := range proxyVariables {
			got := refusalOf(t, func(*Config) { t.Setenv(name, value) })
			if !strings.Contains(got, name) || !strings.Contains(got, "write "+name+"=http://") || strings.Contains(got, "hunter2") {
				t.Errorf("%s=%s: %q", name, value, got)
			}
		}
	}
	for _, value := range []string{"http://roof:hunter2%40%3A%2F@proxy:3128", "socks5://roof:hunter2@proxy", "HTTP://proxy:3128"} {
		if got := refusalOf(t, func(*Config) { t.Setenv("https_proxy", value) }); got != "" {
			t.Errorf("%s: %s", value, got)
		}
	}
}

func TestExemptionsThatExemptNothingAreRefused(t *testing.T) {
	for _, value := range []string{
		"https://vps.lan", "a b", "a;b", "10.0.0.0/33", "10.0.0.0/x", "vps.lan/24", "vps.*.lan", "*vps.lan", "vps.lan:99999", "vps.lan:x", "\"vps.lan\"", "vps.lan\r",
		"localhost,vps_\u00fc", "300.1.1.1", "10.0.0.*", "a..b",
	} {
		for _, name := range exemptVariables {
			if got := refusalOf(t, func(*Config) { t.Setenv(name, value) }); !strings.Contains(got, name) || !strings.Contains(got, name+"=vps.lan") && !strings.Contains(got, "write") {
				t.Errorf("%s=%s: %q", name, value, got)
			}
		}
	}
	for _, value := range []string{"*", "localhost,127.0.0.1", "localhost, 127.0.0.1 ,::1", ".lan", "*.lan", "vps.lan:8443", "10.0.0.0/8,fe80::/10", "[::1]:8443", "[::1]", ",", "vps"} {
		if got := refusalOf(t, func(*Config) { t.Setenv("NO_PROXY", value) }); got != "" {
			t.Errorf("%s: %s", value, got)
		}
	}
}
