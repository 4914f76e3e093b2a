/**
 * Situations that the simulation must have met, often, to mean anything. A quiet run passes every check: these counts tell it from a good one.
 */
const NAMES = [
  // Postgres and its replicas
  'visibleOutOfOrder',
  'asynchronousCommitLost',
  'sourceFailover',
  'slotRecreated',
  'slotConfirmedWentBack',
  'replicaRestartedLower',
  'replicaFollowedTimeline',
  // relay
  'commitBeforeVisible',
  'transactionSpannedRecords',
  'relayRestartRepeated',
  'relayTookOver',
  'lateRelayRecord',
  'sendLandedThoughFailed',
  'sendLost',
  'barrierHeldSettled',
  'cleanEndKeptEpoch',
  'lookAheadOfStream',
  'lookAtIdleSource',
  'lastWordHidden',
  'epochPassed',
  // log
  'logTailLost',
  // agent
  'sourceEpochChange',
  'timelineChanged',
  'lateEpochApplied',
  'gapNewEpoch',
  'gapReadAgain',
  'positionBeforeLog',
  'positionBeyondLog',
  'takeoverWithLateBatch',
  'applyRefusedByPosition',
  'agentSawAnotherRedis',
  'replicasDisagreed',
  // Redis
  'failoverLostEvictions',
  'redisEmptied',
  'recordOrStateLost',
  'bucketFolded',
  'entriesDropped',
  // fills
  'evictionCrossedLoad',
  'unsettledFenceAtLease',
  'settledWhileWaiting',
  'proofTooLow',
  'proofReached',
  'foldFenced',
  'droppedEntryNeeded',
  'proofBelowSettled',
  'floorFenced',
  'leaseVoidedByEviction',
  'leaseVoidedByDelete',
  'leaseVoidedByMemory',
  'leaseVoidedByExpiry',
  'leaseLost',
  'storeRefusedByLease',
  'storeRefusedByMark',
  'storeRefusedByTagMark',
  'storeRefusedByEpoch',
  'storeRefusedByPosition',
  'storeRefusedByTimeline',
  'storeLandedUnknown',
  'storeLandedLate',
  'leaseLandedLate',
  'oldPrimaryRead',
  'replicaSessionLost',
  'deadEpochLeasedOver',
  // hits
  'missByEpoch',
  'missByMark',
  'staleServed',
  'refreshedEarly',
  'joined',
  'joinRefusedDeadFlight',
  'heldByAnotherProcess',
  'tokenReached',
  'tokenWaited',
  'tokenWentToPrimary',
  'tokenOfAnotherTimeline',
  'tooStaleForReader',
  // local tier
  'localHit',
  'localReplyOvertaken',
  'localHitBehind',
  'localDroppedByInvalidation',
  'localDroppedByState',
  'trackingLost',
  'readingConnectionLost',
  'localSilenced',
  // the end
  'quiescent',
  'suffixReplayed',
] as const;

export type Situation = (typeof NAMES)[number];
export type Situations = Record<Situation, number>;

export function noSituations(): Situations {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Situations;
}

export function addSituations(to: Situations, from: Readonly<Situations>): void {
  for (const name of NAMES) to[name] += from[name];
}
