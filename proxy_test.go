package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The HTTP client reads the environment once a process, so each case is a process of its own: this test again.
const checkedEnv = "SUNSPOOL_TEST_CHECK_EDGE"

// `sunspool check edge` names the proxy that uploads go through, or what exempts the server from it.
func TestCheckNamesTheProxy(t *testing.T) {
	if os.Getenv(checkedEnv) != "" {
		os.Exit(run(t.Context(), []string{"check", "edge"}, os.Stdout, os.Stderr))
	}
	for name, c := range map[string]struct {
		env  []string
		exit int
		want string
	}{
		"none":         {nil, 0, "can be used"},
		"HTTPS_PROXY":  {[]string{"HTTPS_PROXY=http://roof:hunter2@proxy:3128"}, 0, "note: uploads to vps.example.org go through the proxy proxy:3128, see HTTPS_PROXY"},
		"https_proxy":  {[]string{"https_proxy=proxy:3128"}, 0, "note: uploads to vps.example.org go through the proxy proxy:3128, see https_proxy"},
		"both":         {[]string{"HTTPS_PROXY=http://a:1", "https_proxy=http://b:2"}, 0, "the proxy a:1"},
		"exempt":       {[]string{"HTTPS_PROXY=http://proxy:3128", "NO_PROXY=.example.org"}, 0, "go directly: it is this host or NO_PROXY exempts it from HTTPS_PROXY"},
		"another":      {[]string{"HTTPS_PROXY=http://proxy:3128", "NO_PROXY=example.net"}, 0, "the proxy proxy:3128"},
		"loopback":     {[]string{"HTTPS_PROXY=http://proxy:3128", "VPS_BASE_URL=https://127.0.0.1:8443"}, 0, "go directly: it is this host, for which HTTPS_PROXY is not used"},
		"ALL_PROXY":    {[]string{"ALL_PROXY=http://proxy:3128"}, 0, "go directly: ALL_PROXY is not used, HTTPS_PROXY is"},
		"HTTP_PROXY":   {[]string{"HTTP_PROXY=http://proxy:3128"}, 0, "go directly: HTTP_PROXY is not used, HTTPS_PROXY is"},
		"malformed":    {[]string{"HTTPS_PROXY=http://roof:hunter2%zz@proxy:3128"}, 3, "HTTPS_PROXY is not the address of a proxy"},
		"wrong scheme": {[]string{"HTTPS_PROXY=ftp://proxy"}, 3, "HTTPS_PROXY has a scheme"},
		"NO_PROXY":     {[]string{"HTTPS_PROXY=http://proxy:3128", "NO_PROXY=https://vps"}, 3, `NO_PROXY has the entry "https://vps", which is a URL`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCheckNamesTheProxy$")
			cmd.Env = []string{checkedEnv + "=1", "SUNGROW_HOST=192.0.2.7", "VPS_BASE_URL=https://vps.example.org", "VPS_DEVICE_TOKEN=0123456789abcdef",
				"SPOOL_PATH=" + filepath.Join(t.TempDir(), "spool.db"), "HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}
			cmd.Env = append(cmd.Env, c.env...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Run()
			if exit := cmd.ProcessState.ExitCode(); exit != c.exit || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "hunter2") {
				t.Errorf("exit status %d, want %d with %q:\n%s", exit, c.exit, c.want, out.String())
			}
		})
	}
}

// A proxy may hold a password, which every user of a host could read from a command line.
func TestProxyIsNotTakenFromTheCommandLine(t *testing.T) {
	for name, args := range map[string][]string{
		"HTTPS_PROXY": {"edge", "--https-proxy=http://roof:hunter2@proxy:3128"},
		"NO_PROXY":    {"edge", "--no-proxy=.lan"},
	} {
		var out, errs bytes.Buffer
		exit := run(t.Context(), args, &out, &errs)
		if text := errs.String(); exit != 3 || !strings.Contains(text, name) || !strings.Contains(text, "not taken from the command line") || strings.Contains(text, "hunter2") {
			t.Errorf("%s: exit status %d\n%s", name, exit, text)
		}
	}
}
