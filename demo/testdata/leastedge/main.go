// Command leastedge is the least that a Go program needs to do what an edge does: it reads four blocks of registers through
// one connection at the edge's pace, appends a record to a file with two flushes as a database does, and posts every other
// time to a server by HTTPS. It checks nothing and keeps nothing. BenchmarkEdgeProcess measures it beside the edge.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

// blocks are the first address and the number of registers of each request.
var blocks = [][2]uint16{{4999, 36}, {12999, 80}, {5213, 29}, {5600, 39}}

func main() {
	inverter, server, token, ca, file := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	text, err := os.ReadFile(ca)
	must(err)
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	record, err := os.Create(file)
	must(err)
	conn, err := net.Dial("tcp", inverter)
	must(err)
	var body bytes.Buffer
	var page [4096]byte
	for n := uint16(0); ; n++ {
		begun := time.Now()
		for i, b := range blocks {
			if i > 0 {
				time.Sleep(30 * time.Millisecond)
			}
			request := binary.BigEndian.AppendUint16(nil, n)
			request = append(request, 0, 0, 0, 6, 1, 4)
			request = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(request, b[0]), b[1])
			must(conn.SetDeadline(time.Now().Add(5 * time.Second)))
			_, err := conn.Write(request)
			must(err)
			answer := make([]byte, 9+2*int(b[1]))
			_, err = io.ReadFull(conn, answer)
			must(err)
			body.Write(answer)
		}
		for offset := range int64(2) {
			_, err = record.WriteAt(page[:], offset*4096)
			must(err)
			must(flush(record))
		}
		if n%2 == 1 {
			request, err := http.NewRequest(http.MethodPost, server, bytes.NewReader(body.Bytes()))
			must(err)
			request.Header.Set("Authorization", "Bearer "+token)
			response, err := client.Do(request)
			must(err)
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			body.Reset()
		}
		time.Sleep(time.Until(begun.Add(5010 * time.Millisecond)))
	}
}
