package api

import "sunspool/internal/vpstest"

const (
	token1     = vpstest.Token1
	token1b    = vpstest.Token1b
	token2     = vpstest.Token2
	viewer1    = vpstest.Viewer1
	viewerAll  = vpstest.ViewerAll
	tokenWrong = vpstest.TokenWrong
	adminToken = "admin-0123456789abcdef"
)

var (
	testNow      = vpstest.Now
	fields       = vpstest.Fields
	with         = vpstest.With
	without      = vpstest.Without
	bodyOf       = vpstest.BodyOf
	sample       = vpstest.Sample
	manyValues   = vpstest.ManyValues
	contractBody = vpstest.ContractBody
	pythonBatch  = vpstest.PythonBatch
	do           = vpstest.Do
	follow       = vpstest.Follow
	names        = vpstest.Names
	of           = vpstest.Of
	newPipes     = vpstest.NewPipes
	routesOf     = vpstest.Routes
)

type (
	logBuffer = vpstest.LogBuffer
	pipes     = vpstest.Pipes
	event     = vpstest.Event
	opening   = vpstest.Route
)
