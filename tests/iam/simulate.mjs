// Runs simulations of @cloud-copilot/iam-simulate, in a process of its own: a list of its
// `Simulation` objects on stdin, a list of verdicts on stdout. The package is found where the
// environment NODE_MODULES says.

import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const require = createRequire(`${process.env.NODE_MODULES}/`)
const { runSimulation } = require('@cloud-copilot/iam-simulate')

const statements = (analysis, kind) =>
  (analysis?.[kind] ?? []).map((one) => `${one.policyId ?? ''}/${one.statement.sid() ?? ''}`)

const verdict = async (simulation) => {
  const response = await runSimulation(simulation, {})
  if (response.resultType === 'error') {
    return { result: 'Error', error: JSON.stringify(response.errors), ignored: [], denied: [] }
  }
  const results = response.resultType === 'single' ? [response.result] : response.results
  const analyses = results.map((one) => one.analysis)
  const policies = ['identityAnalysis', 'resourceAnalysis', 'permissionBoundaryAnalysis',
    'endpointAnalysis']
  return {
    result: response.overallResult,
    error: '',
    ignored: results.flatMap((one) => one.ignoredContextKeys ?? []),
    denied: analyses.flatMap((one) =>
      policies.flatMap((policy) => statements(one[policy], 'denyStatements'))),
  }
}

const simulations = JSON.parse(readFileSync(0, 'utf8'))
const verdicts = []
for (const simulation of simulations) {
  verdicts.push(await verdict(simulation))
}
process.stdout.write(JSON.stringify(verdicts))
