package packaging

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testhost"
)

var firstRun = flag.String("first-run", "", "file to which a transcript of a first run is written: make docs-first-run")

// TestFirstRun types what a person types on two new machines, the wrong answers included, and writes what a terminal shows.
func TestFirstRun(t *testing.T) {
	if *firstRun == "" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this boots two Debians: make docs-first-run")
	}
	suite := "bookworm"
	p := pair{server: appliance{boot(t, suite)}, edge: appliance{boot(t, suite)}}
	p.cable()
	p.server.run("ip", "address", "add", inverterAddress+"/24", "dev", "cable")
	for _, m := range []appliance{p.server, p.edge} {
		m.write("/root/sunspool.deb", string(read(t, deb(t, older))), 0o644)
		m.run("ln", "-sf", "/usr/share/zoneinfo/Etc/UTC", "/etc/localtime")
	}
	var page transcript
	page.text("# The first two minutes")
	page.text("Two machines at home, both a new Debian: `server` will store and show, `pi` stands beside the inverter. What follows is what",
		"their terminals showed, with every wrong answer that came to mind; `make docs-first-run` makes it again. The",
		"inverter is simulated, tokens are cut, and the times are those of one run.")

	page.text("## The server")
	page.session(p.server, "apt-get install -y -q /root/sunspool.deb")
	page.session(p.server, "sunspool")
	page.session(p.server, "sunspool setup", "This machine is", "sever", "This machine is", "server", "Write this?", "y")
	p.server.run("systemd-run", "--unit=inverter", "/usr/bin/sunspool", "simulate", "--listen="+inverterAddress+":502", "--tz=UTC")
	page.text("The link opens the page; a phone takes it from the code. Now a code for the machine beside the inverter:")
	used := codeOfPair.FindString(page.session(p.server, "sunspool vps pair --device roof"))
	page.text("Somebody makes another one, which replaces the first:")
	good := codeOfPair.FindString(page.session(p.server, "sunspool vps pair --device roof"))
	if used == "" || good == "" {
		t.Fatalf("no codes in\n%s", &page.b)
	}

	page.text("## Beside the inverter")
	page.session(p.edge, "apt-get install -y -q /root/sunspool.deb")
	page.text("Where is the inverter?")
	page.session(p.edge, "sunspool probe --scan 192.168.77.0/24")
	page.text("Everything that can be answered wrongly is, once: the role, an unknown host, a closed port, a port with something else behind it, no address at all, the time",
		"zone, the server's address, something that is no code, and a code that another one has replaced.")
	page.session(p.edge, "sunspool setup",
		"This machine is", "pi", "This machine is", "edge",
		"Look through", "n",
		"Address of the inverter", "winet-s.invalid", "Address of the inverter", serverAddress, "Address of the inverter", serverAddress+":8443", "Address of the inverter", inverterAddress+":x",
		"Address of the inverter", inverterAddress,
		"Time zone", "Europe/Brusels", "Time zone", "Europe/Brussels",
		"The server, such as", "http://"+serverAddress+":8443", "The server, such as", "https://"+serverAddress+":8443",
		"Code of", "hello", "Code of", used, "Write this?", "y", "Code of", good)
	page.text("## And then")
	page.session(p.edge, "sunspool status")
	page.session(p.edge, "sunspool")
	page.session(p.server, "sunspool status")
	page.text("A code works once:")
	page.session(p.edge, "sunspool setup --role edge --server https://"+serverAddress+":8443 --pair "+good+" --no-probe --yes")
	if t.Failed() {
		return
	}
	if err := os.WriteFile(*firstRun, page.b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

const inverterAddress = "192.168.77.50"

var codeOfPair = regexp.MustCompile(`([0-9A-Z]{4}-){7}[0-9A-Z]{4}`)

// transcript is a page of what terminals showed.
type transcript struct{ b bytes.Buffer }

func (p *transcript) text(lines ...string) { fmt.Fprintf(&p.b, "%s\n\n", strings.Join(lines, "\n")) }

// session types a command, and then answers: each when the question before it is on the screen. It returns what was shown.
func (p *transcript) session(a appliance, command string, dialogue ...string) string {
	a.t.Helper()
	screen, tty := testhost.Terminal(a.t, 80)
	enter := []string{"--target", strconv.Itoa(a.leader), "--all", "--root", "--wd", "env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		"LANG=C.UTF-8", "TERM=xterm", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", command}
	cmd := exec.Command("nsenter", enter...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	var mu sync.Mutex
	var seen bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		for b := make([]byte, 4096); ; {
			n, err := screen.Read(b)
			mu.Lock()
			seen.Write(b[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	at := 0
	for i := 0; i+1 < len(dialogue); i += 2 {
		a.eventually("the question "+dialogue[i], func() error {
			mu.Lock()
			defer mu.Unlock()
			text := seen.String()
			if j := strings.LastIndex(text[at:], dialogue[i]); j < 0 || !strings.HasSuffix(strings.TrimRight(text, " "), ":") {
				return fmt.Errorf("the screen has\n%s", text)
			}
			at = len(text)
			return nil
		})
		io.WriteString(screen, dialogue[i+1]+"\n")
	}
	err := cmd.Wait()
	took := time.Since(began)
	tty.Close()
	<-read
	shown := strings.ReplaceAll(seen.String(), "\r\n", "\n")
	for _, c := range []struct{ find, as string }{
		{`[^\n]*\r(\x1b\[K)?`, ""}, {`\x1b\[[0-9;]*[A-Za-z]`, ""}, {`(ss[vd]_[0-9a-f]{4})[0-9a-f]{36}`, "$1…"}, {`(?m)[ \t]+$`, ""},
	} {
		shown = regexp.MustCompile(c.find).ReplaceAllString(shown, c.as)
	}
	host := "pi"
	if strings.Contains(a.run("ip", "-o", "address", "show", "dev", "cable"), serverAddress+"/") {
		host = "server"
	}
	if err != nil {
		shown += "(" + err.Error() + ")\n"
	}
	fmt.Fprintf(&p.b, "```\nroot@%s:~# %s\n%s```\n\nIt took %.1f s.\n\n", host, command, strings.TrimRight(shown, "\n")+"\n", took.Seconds())
	return shown
}
